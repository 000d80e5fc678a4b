package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"io"
	"net/http"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"causeway/simulator/meta"
)

// asCommand makes the test binary be the command, so that a test can start it as a process.
const asCommand = "SIMULATOR_TEST_AS_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

func command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Env = append(os.Environ(), asCommand+"=1")
	return cmd
}

func TestProcessPrintsItsAddressesAndStopsOnSignals(t *testing.T) {
	for _, signal := range []os.Signal{syscall.SIGTERM, os.Interrupt} {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		cmd := command(ctx, "--seed", "7", "--profile", "calm")
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		var diagnostics bytes.Buffer
		cmd.Stderr = &diagnostics
		require.NoError(t, cmd.Start())

		lines := bufio.NewReader(out)
		line, err := lines.ReadBytes('\n')
		require.NoError(t, err)
		var printed meta.Info
		require.NoError(t, json.Unmarshal(line, &printed))
		require.EqualValues(t, 7, printed.Seed)
		require.Equal(t, "calm", printed.Profile)

		resp, err := http.Get(printed.AdminURL + "/admin/info")
		require.NoError(t, err)
		var served meta.Info
		require.NoError(t, json.NewDecoder(resp.Body).Decode(&served))
		require.NoError(t, resp.Body.Close())
		require.Equal(t, printed, served)
		authority, err := os.ReadFile(printed.CAFile)
		require.NoError(t, err)
		require.Contains(t, string(authority), "BEGIN CERTIFICATE")

		require.NoError(t, cmd.Process.Signal(signal))
		rest, err := io.ReadAll(lines)
		require.NoError(t, err)
		require.Empty(t, rest, "one line and no more")
		require.NoError(t, cmd.Wait(), diagnostics.String())
		require.NoFileExists(t, printed.CAFile)
	}
}

func TestRefusedCommandLines(t *testing.T) {
	for name, args := range map[string][]string{
		"not loopback":    {"--chat", "0.0.0.0:0"},
		"a name":          {"--enlistment", "example.org:80"},
		"TLS off host":    {"--tls", "192.0.2.1:0"},
		"proxy off host":  {"--proxy", "192.0.2.1:0"},
		"admin off host":  {"--admin", "192.0.2.1:0"},
		"unknown profile": {"--profile", "wild"},
		"unknown flag":    {"--speed", "1"},
		"argument":        {"start"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			cancel() // a command line that is taken after all would end at once
			var out, diagnostics bytes.Buffer
			require.Error(t, run(ctx, args, &out, &diagnostics))
			require.Empty(t, out.String())
		})
	}
}

func TestHelp(t *testing.T) {
	var out, diagnostics bytes.Buffer
	require.ErrorIs(t, run(t.Context(), []string{"--help"}, &out, &diagnostics), flag.ErrHelp)
	for _, want := range []string{"-seed", "-profile", "-chat", "-enlistment", "-admin", "-tls", "-proxy", "-ca-file", "loopback", "/admin/info", "scan-qr"} {
		require.Contains(t, diagnostics.String(), want)
	}
}

func TestExitCode(t *testing.T) {
	err := command(t.Context(), "--profile", "wild").Run()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	require.Equal(t, 1, exit.ExitCode())
}
