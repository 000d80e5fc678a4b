package portal

import (
	"fmt"
	"strings"

	"causeway/network"
)

const (
	// maxCards is how many contacts of one message are taken, and maxCard how many bytes each may have.
	maxCards = 257
	maxCard  = 64 << 10
)

// CardsText writes contacts out: the name of each and what it can be reached by.
func CardsText(contacts network.Contacts) string {
	var out strings.Builder
	for i, card := range contacts.Cards[:min(len(contacts.Cards), maxCards)] {
		if i > 0 {
			out.WriteByte('\n')
		}
		name := line(card.Name, maxTitle)
		if name == "" {
			name = line(cardProperty(card.VCard, "FN"), maxTitle)
		}
		fmt.Fprintf(&out, "👤 %s", name)
		for _, property := range []string{"TEL", "EMAIL"} {
			for _, value := range cardProperties(card.VCard, property) {
				fmt.Fprintf(&out, "\n    %s", line(value, maxTitle))
			}
		}
	}
	return out.String()
}

// CardsFile is contacts as one file, and its name.
func CardsFile(contacts network.Contacts) (name, text string) {
	var out strings.Builder
	for _, card := range contacts.Cards[:min(len(contacts.Cards), maxCards)] {
		out.WriteString(strings.TrimSpace(cut(card.VCard, maxCard)) + "\r\n")
	}
	name = "contacts"
	if len(contacts.Cards) == 1 {
		name = contacts.Cards[0].Name
	}
	return FileName(name+".vcf", ".vcf"), out.String()
}

// IsCard says whether a file holds contacts.
func IsCard(mime, name string) bool {
	kind, _, _ := strings.Cut(strings.ToLower(mime), ";")
	switch strings.TrimSpace(kind) {
	case "text/vcard", "text/x-vcard", "text/directory":
		return true
	}
	return strings.HasSuffix(strings.ToLower(name), ".vcf")
}

// CardsFromMatrix reads the contacts of a file; false if there are none or too many.
func CardsFromMatrix(text string) (network.Contacts, bool) {
	var contacts network.Contacts
	text = strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\r\n", "\n")
	for {
		begin := strings.Index(strings.ToUpper(text), "BEGIN:VCARD")
		if begin < 0 {
			break
		}
		text = text[begin:]
		end := strings.Index(strings.ToUpper(text), "END:VCARD")
		if end < 0 {
			break
		}
		end += len("END:VCARD")
		card := network.Card{VCard: text[:end]}
		card.Name = line(cardProperty(card.VCard, "FN"), maxTitle)
		if card.Name == "" {
			card.Name = line(strings.Join(strings.Fields(strings.ReplaceAll(cardProperty(card.VCard, "N"), ";", " ")), " "), maxTitle)
		}
		if card.Name == "" || len(card.VCard) > maxCard {
			return network.Contacts{}, false
		}
		contacts.Cards = append(contacts.Cards, card)
		text = text[end:]
	}
	return contacts, len(contacts.Cards) > 0 && len(contacts.Cards) <= maxCards
}

func cardProperty(card, name string) string {
	if values := cardProperties(card, name); len(values) > 0 {
		return values[0]
	}
	return ""
}

// cardProperties reads the values of a vCard's property, groups ("item1.TEL") and parameters aside.
func cardProperties(card, name string) []string {
	var values []string
	// lines that begin with a space continue the one before (RFC 2426, 2.6)
	unfolded := strings.NewReplacer("\r\n ", "", "\r\n\t", "", "\n ", "", "\n\t", "", "\r", "").Replace(card)
	for entry := range strings.SplitSeq(unfolded, "\n") {
		key, value, found := strings.Cut(entry, ":")
		key, _, _ = strings.Cut(key, ";")
		if _, bare, grouped := strings.Cut(key, "."); grouped {
			key = bare
		}
		if found && strings.EqualFold(strings.TrimSpace(key), name) && strings.TrimSpace(value) != "" {
			values = append(values, strings.NewReplacer(`\,`, ",", `\;`, ";", `\n`, " ", `\\`, `\`).Replace(strings.TrimSpace(value)))
		}
	}
	return values
}
