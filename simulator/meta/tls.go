package meta

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"time"
)

// This file is how the network is reached by programs that speak TLS only, under the names of the real one.

// servedNames are the hosts that the network's certificate is for, and that its proxy leads to.
func servedNames() []string {
	return []string{"web.whatsapp.com", "mmg.whatsapp.net", "media.whatsapp.net", "pps.whatsapp.net", "static.whatsapp.net",
		"web-chat-e2ee.facebook.com", "localhost"}
}

// authority is the network's own certificate authority.
type authority struct {
	pem  []byte
	leaf tls.Certificate
}

// newAuthority makes an authority and a certificate of it for the served names and loopback.
func newAuthority() (*authority, error) {
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("failed to make the authority's key: %w", err)
	}
	leafKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("failed to make the server's TLS key: %w", err)
	}
	from, to := time.Now().Add(-time.Hour), time.Now().AddDate(10, 0, 0)
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Simulated network"}, NotBefore: from, NotAfter: to,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "web.whatsapp.com"}, NotBefore: from, NotAfter: to,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames: servedNames(), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, &caKey.PublicKey, caKey)
	if err != nil {
		return nil, fmt.Errorf("failed to sign the authority: %w", err)
	}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, ca, &leafKey.PublicKey, caKey)
	if err != nil {
		return nil, fmt.Errorf("failed to sign the server's certificate: %w", err)
	}
	return &authority{pem: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: caDER}),
		leaf: tls.Certificate{Certificate: [][]byte{leafDER, caDER}, PrivateKey: leafKey}}, nil
}

// CA is the certificate, in PEM, that the network's TLS listeners lead to.
func (n *Network) CA() []byte { return n.authority.pem }

// CertPool holds the network's certificate authority and no other.
func (n *Network) CertPool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(n.authority.pem)
	return pool
}

// writeCA puts the authority's certificate into the file that was asked for.
func (n *Network) writeCA() error {
	if n.cfg.caFile == "" {
		return nil
	}
	if err := os.WriteFile(n.cfg.caFile, n.authority.pem, 0o644); err != nil {
		return fmt.Errorf("failed to write the certificate authority: %w", err)
	}
	return nil
}

// CAFile makes the network write its certificate authority into a file, in PEM.
func CAFile(path string) Option { return func(o *options) { o.caFile = path } }

// ListenTLS is the address of the chat server and the media hosts over TLS.
func ListenTLS(address string) Option { return func(o *options) { o.tls = address } }

// ListenProxy is the address of a proxy that leads to the TLS listener, for programs that know no other setting.
func ListenProxy(address string) Option { return func(o *options) { o.proxy = address } }

// TLSAddr is host:port of the chat server and the media hosts over TLS.
func (n *Network) TLSAddr() string { return n.tlsAddr }

// ProxyURL is the address of the proxy that answers CONNECT.
func (n *Network) ProxyURL() string { return "http://" + n.proxyAddr }

func (n *Network) serveTLS(address string, handler http.Handler) (string, error) {
	return n.serveOn("chat over TLS", address, handler, func(l net.Listener) net.Listener {
		return tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{n.authority.leaf}, NextProtos: []string{"http/1.1"}})
	})
}
