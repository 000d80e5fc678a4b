package interop

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"html/template"
	"maps"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"causeway/network"
)

const (
	// regionPath is what lies before a link's secret on the public listener.
	regionPath = "/interop/region/"
	// RegionLinkLife is how long a link to the region page is good for.
	RegionLinkLife = 5 * time.Minute
	// linkSecret is the length of a link's secret in bytes: nobody guesses 128 bits.
	linkSecret = 16
	// maxLinks is how many links one consent may have at a time.
	maxLinks = 3
	// maxForm is ample for a form without fields.
	maxForm = 1 << 10
)

// RegionWords are the texts of the region page. {user} and {network} in them are filled in.
type RegionWords struct {
	Title, Ask, Kept, Button string
	// Inside and Outside tell the decision; the others why there is none.
	Inside, Outside, Unknown, NoAddress, Gone, Untrusted string
}

// regionAsk is a link that nobody has used yet.
type regionAsk struct {
	consentID, user string
	network         network.Network
	until           time.Time
	inside          chan bool
}

// regionPage is a page on which users confirm where they are. They reach it through the trusted proxy, whose header names
// their country; nobody else is believed. Whoever fetches it changes nothing, so that a preview of the link does not use it up.
type regionPage struct {
	origin, header, trustedProxy string
	// wantAddress says that the address of the user's client is needed too.
	wantAddress bool
	words       RegionWords
	now         func() time.Time
	log         zerolog.Logger
	decided     func(ctx context.Context, ask *regionAsk, inside bool, address netip.Addr) error

	mutex sync.Mutex
	// asks has each link under the hash of its secret, so that no lookup tells how much of a guess was right.
	asks map[[sha256.Size]byte]*regionAsk
}

func newRegionPage(cfg Config, env Environment, now func() time.Time, log zerolog.Logger) *regionPage {
	return &regionPage{
		origin: cfg.Token.Issuer, header: cfg.Region.Header, trustedProxy: env.Listen.TrustedProxy, wantAddress: cfg.Mode == ModeProxy,
		words: env.RegionWords, now: now, log: log, asks: make(map[[sha256.Size]byte]*regionAsk),
	}
}

// link makes a link. A few may be open for one consent, as users may ask for one while another is on its way to them; the first that
// is used ends them all.
func (p *regionPage) link(consentID, user string, n network.Network) (string, <-chan bool) {
	secret := make([]byte, linkSecret)
	_, _ = rand.Read(secret)
	text := base64.RawURLEncoding.EncodeToString(secret)
	now := p.now()
	ask := &regionAsk{consentID: consentID, user: user, network: n, until: now.Add(RegionLinkLife), inside: make(chan bool, 1)}
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.tidy(consentID, now)
	p.asks[sha256.Sum256([]byte(text))] = ask
	return p.origin + regionPath + text, ask.inside
}

// tidy forgets links that are too old, and of a consent the oldest if it has too many; the mutex is held.
func (p *regionPage) tidy(consentID string, now time.Time) {
	var count int
	var oldest [sha256.Size]byte
	for hash, ask := range p.asks {
		if !now.Before(ask.until) {
			delete(p.asks, hash)
			continue
		}
		if ask.consentID != consentID {
			continue
		}
		if count++; count == 1 || ask.until.Before(p.asks[oldest].until) {
			oldest = hash
		}
	}
	if count >= maxLinks {
		delete(p.asks, oldest)
	}
}

// find is what a secret stands for, nil if it is good for nothing. Used says that it is good for nothing any more.
func (p *regionPage) find(secret string, used bool) *regionAsk {
	hash := sha256.Sum256([]byte(secret))
	p.mutex.Lock()
	defer p.mutex.Unlock()
	ask := p.asks[hash]
	if ask == nil || !p.now().Before(ask.until) {
		return nil
	}
	if used {
		maps.DeleteFunc(p.asks, func(_ [sha256.Size]byte, other *regionAsk) bool { return other.consentID == ask.consentID })
	}
	return ask
}

// serve answers a request below regionPath.
func (p *regionPage) serve(out http.ResponseWriter, r *http.Request) {
	secret := strings.TrimPrefix(r.URL.Path, regionPath)
	ask := p.find(secret, false)
	switch {
	case !fromProxy(r, p.trustedProxy):
		p.show(out, r, http.StatusForbidden, nil, p.words.Untrusted, false)
	case r.Method != http.MethodGet && r.Method != http.MethodHead && r.Method != http.MethodPost:
		out.Header().Set("Allow", "GET, HEAD, POST")
		p.show(out, r, http.StatusMethodNotAllowed, nil, p.words.Gone, false)
	case ask == nil:
		p.show(out, r, http.StatusNotFound, nil, p.words.Gone, false)
	case r.Method != http.MethodPost:
		p.show(out, r, http.StatusOK, ask, p.words.Ask, true)
	default:
		r.Body = http.MaxBytesReader(out, r.Body, maxForm)
		p.decide(out, r, secret, ask)
	}
}

// decide uses the link up if the request says where its user is.
func (p *regionPage) decide(out http.ResponseWriter, r *http.Request, secret string, ask *regionAsk) {
	country, known := p.country(r)
	address, err := netip.ParseAddr(forwardedFor(r))
	address = address.Unmap()
	inside := InEEA(country)
	switch {
	case !known:
		p.show(out, r, http.StatusUnprocessableEntity, ask, p.words.Unknown, true)
		return
	case inside && p.wantAddress && (err != nil || !isPublic(address)):
		p.show(out, r, http.StatusUnprocessableEntity, ask, p.words.NoAddress, true)
		return
	}
	if ask = p.find(secret, true); ask == nil { // two at once
		p.show(out, r, http.StatusNotFound, nil, p.words.Gone, false)
		return
	}
	if err := p.decided(r.Context(), ask, inside, address); err != nil {
		p.log.Err(err).Msg("Failed to record where a user is")
		p.show(out, r, http.StatusServiceUnavailable, nil, p.words.Gone, false)
		return
	}
	ask.inside <- inside
	text := p.words.Outside
	if inside {
		text = p.words.Inside
	}
	p.show(out, r, http.StatusOK, ask, text, false)
}

// country is what the proxy's header names: one code of ISO 3166-1, and not one of those for "unknown".
func (p *regionPage) country(r *http.Request) (code string, known bool) {
	values := r.Header.Values(p.header)
	if len(values) != 1 {
		return "", false
	}
	code = strings.ToUpper(strings.TrimSpace(values[0]))
	if len(code) != 2 || strings.Trim(code, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" || code == "XX" || code == "ZZ" {
		return "", false
	}
	return code, true
}

const regionStyle = `body{max-width:34em;margin:4em auto;padding:0 1.5em;font:1.1em/1.6 system-ui,sans-serif;color:#1b1b1b;background:#fff}` +
	`h1{font-size:1.5em;line-height:1.3}button{font:inherit;padding:.6em 1.4em;border:0;border-radius:.4em;color:#fff;background:#1a5fb4;cursor:pointer}` +
	`.kept{color:#555;font-size:.9em}@media(prefers-color-scheme:dark){body{color:#eee;background:#1b1b1b}.kept{color:#aaa}}`

// show writes the page. ask is nil where it must not be told what the link was for.
func (p *regionPage) show(out http.ResponseWriter, r *http.Request, status int, ask *regionAsk, text string, form bool) {
	fill := strings.NewReplacer()
	if ask != nil {
		fill = strings.NewReplacer("{user}", ask.user, "{network}", ask.network.DisplayName())
	}
	var page bytes.Buffer
	err := template.Must(template.New("region").Parse(regionTemplate)).Execute(&page, map[string]any{
		"Style": template.CSS(regionStyle), "Title": p.words.Title, "Text": fill.Replace(text), "Form": form,
		"Button": fill.Replace(p.words.Button), "Kept": fill.Replace(p.words.Kept),
	})
	if err != nil {
		p.log.Err(err).Msg("Failed to write the region page")
	}
	style := sha256.Sum256([]byte(regionStyle))
	header := out.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Cache-Control", "no-store")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("X-Frame-Options", "DENY")
	header.Set("X-Robots-Tag", "noindex, nofollow")
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	header.Set("Content-Security-Policy", "default-src 'none'; style-src 'sha256-"+base64.StdEncoding.EncodeToString(style[:])+
		"'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	out.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = out.Write(page.Bytes())
	}
}

const regionTemplate = `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{.Title}}</title>
<style>{{.Style}}</style>
</head>
<body>
<h1>{{.Title}}</h1>
<p>{{.Text}}</p>
{{if .Form}}<form method="post"><button type="submit">{{.Button}}</button></form>
<p class="kept">{{.Kept}}</p>
{{end}}</body>
</html>
`
