package interop

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
)

// certificate writes a certificate for example.com, and returns a client that trusts it.
func certificate(t *testing.T) (certFile, keyFile string, client *http.Client) {
	t.Helper()
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	pair := server.TLS.Certificates[0]
	private, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	require.NoError(t, err)
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	require.NoError(t, os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]}), 0o600))
	require.NoError(t, os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600))
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	return certFile, keyFile, &http.Client{Transport: &http.Transport{DisableKeepAlives: true,
		TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "example.com"}}}
}

func TestListenWithTLS(t *testing.T) {
	certFile, keyFile, client := certificate(t)
	p, err := New(completeConfig(), Environment{Domain: "example.eu", StateDir: t.TempDir(),
		Listen: Listen{Address: "127.0.0.1:0", TLSCert: certFile, TLSKey: keyFile}}, openDatabase(t), zerolog.Nop())
	require.NoError(t, err)
	// Nothing is enlisted here, and example.com is not to be asked.
	p.cfg.KillSwitch = true
	require.NoError(t, p.Start(t.Context()))
	t.Cleanup(p.Stop)

	response, err := client.Get("https://" + p.Addr() + keySetPath)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, http.StatusOK, response.StatusCode)

	client.Transport.(*http.Transport).TLSClientConfig.MaxVersion = tls.VersionTLS11
	_, err = client.Get("https://" + p.Addr() + keySetPath)
	require.Error(t, err, "TLS 1.1 is too old")
}

func TestListenFailsLoudly(t *testing.T) {
	for name, listen := range map[string]Listen{
		"no certificate":   {Address: "127.0.0.1:0", TLSCert: "no/cert", TLSKey: "no/key"},
		"no such address":  {Address: "localhost:99999"},
		"address is taken": {Address: newRegistry(t, newClock().now).server.Listener.Addr().String()},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := New(completeConfig(), Environment{Domain: "example.eu", StateDir: t.TempDir(), Listen: listen}, openDatabase(t), zerolog.Nop())
			require.NoError(t, err)
			require.Error(t, p.Start(t.Context()))
			require.Empty(t, p.Addr())
			p.Stop()
		})
	}
}
