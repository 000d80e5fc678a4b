package puppet

import (
	"bytes"
	"fmt"
	"strings"
	"text/template"

	"causeway/network"
)

// DefaultTemplate names a ghost after the best that is known of the person.
const DefaultTemplate = "{{.BestName}} ({{.Network}})"

const (
	// maxName is how many characters a ghost's name may have.
	maxName = 256
	// maxBestName leaves room for what a template puts around the name.
	maxBestName = 200
	// shownDigits is how much of a hidden number is shown to tell two people apart.
	shownDigits = 4
)

// Profile is what is known of a person.
type Profile struct {
	Address network.Address
	// Phone is the person's phone number, zero if the network keeps it back.
	Phone network.Address
	// Name is the person's own name for themselves, mostly empty in third-party chats.
	Name string
}

// Namer makes the names of ghosts from a template.
type Namer struct {
	template *template.Template
}

// fields are the variables of a name template.
type fields struct {
	// BestName is the name, the phone number, or a stand-in with the last digits of the account.
	BestName string
	// Name is the network's name of the person, possibly empty.
	Name string
	// Phone is the phone number with its plus sign, possibly empty.
	Phone string
	// Network is the network's display name.
	Network string
}

// NewNamer reads a name template. It refuses one that leaves out the network's
// name: a ghost must never be taken for a local user (docs/protocol.md#consent).
func NewNamer(text string) (*Namer, error) {
	parsed, err := template.New("displayname").Option("missingkey=error").Parse(text)
	if err != nil {
		return nil, fmt.Errorf("failed to read the name template: %w", err)
	}
	namer := &Namer{template: parsed}
	probe := fields{BestName: "A", Name: "A", Phone: "+1", Network: network.WhatsApp.DisplayName()}
	name, err := namer.render(probe)
	if err != nil {
		return nil, fmt.Errorf("failed to use the name template: %w", err)
	}
	if !strings.HasSuffix(strings.TrimRight(name, ")]"), probe.Network) {
		return nil, fmt.Errorf("the name template %q must end with {{.Network}} or ({{.Network}})", text)
	}
	return namer, nil
}

// Name is the ghost name of a person, always with the network's name at its end, once.
func (n *Namer) Name(p Profile) string {
	known := p.fields()
	name, err := n.render(known)
	if err != nil {
		return known.BestName + " (" + known.Network + ")"
	}
	return name
}

// BestName is a person's name without the network's, for use in a sentence that names the network itself.
func BestName(p Profile) string { return p.fields().BestName }

func (p Profile) fields() fields {
	known := fields{
		Name:    withoutSuffix(Clean(p.Name), p.Address.Network.DisplayName()),
		Network: p.Address.Network.DisplayName(),
	}
	if p.Phone.Kind == network.KindPhone {
		known.Phone = "+" + p.Phone.User
	}
	known.BestName = bestName(known, p.Address)
	return known
}

func (n *Namer) render(known fields) (string, error) {
	var out bytes.Buffer
	if err := n.template.Execute(&out, known); err != nil {
		return "", fmt.Errorf("failed to fill in the name template: %w", err)
	}
	return truncate(Clean(out.String()), maxName), nil
}

func bestName(known fields, address network.Address) string {
	switch {
	case known.Name != "":
		return truncate(known.Name, maxBestName)
	case known.Phone != "":
		return known.Phone
	case address.Kind == network.KindPhone:
		return "+" + address.User
	default:
		tail := address.User[max(0, len(address.User)-shownDigits):]
		return known.Network + " user " + tail
	}
}

// withoutSuffix takes "(WhatsApp)" off a name, so that the template cannot double it.
func withoutSuffix(name, networkName string) string {
	suffix := "(" + networkName + ")"
	for strings.HasSuffix(name, suffix) {
		name = strings.TrimSpace(strings.TrimSuffix(name, suffix))
	}
	return name
}
