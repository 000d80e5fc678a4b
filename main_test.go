package main

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"

	"causeway/bridge"
)

var update = flag.Bool("update", false, "rewrite config.example.yaml")

const exampleFile = "config.example.yaml"

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"causeway": main})
}

// TestScripts runs the command line as an operator does; see testdata/script.
func TestScripts(t *testing.T) {
	example, err := filepath.Abs(exampleFile)
	require.NoError(t, err)
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "script"),
		Setup: func(env *testscript.Env) error {
			env.Setenv("EXAMPLE", example)
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){"edit": edit},
	})
}

// edit replaces text in a file: edit FILE OLD NEW. OLD must be there once.
func edit(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: edit FILE OLD NEW")
	}
	before := ts.ReadFile(args[0])
	if strings.Count(before, args[1]) != 1 {
		ts.Fatalf("%s has %q %d times", args[0], args[1], strings.Count(before, args[1]))
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(strings.Replace(before, args[1], args[2], 1)), 0o600))
}

func TestExampleConfig(t *testing.T) {
	text, err := bridge.New().Example()
	require.NoError(t, err)
	if *update {
		require.NoError(t, os.WriteFile(exampleFile, []byte(text), 0o644))
	}
	golden, err := os.ReadFile(exampleFile)
	require.NoError(t, err)
	require.Equal(t, string(golden), text, "run go test . -run TestExampleConfig -update, and look at the difference")
}
