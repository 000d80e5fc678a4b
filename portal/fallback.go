package portal

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"maunium.net/go/mautrix/event"

	"causeway/network"
)

const (
	// maxOptions is how many options of a poll are written out.
	maxOptions = 100
	// maxOption is how many characters each may have.
	maxOption = 500
)

// Correction is the text that stands for an edit, which the network does not know: prefix and the new text,
// to be sent as a reply to the old.
func Correction(content *event.MessageEventContent, prefix string) (network.Content, error) {
	if IsFile(content) {
		caption := captionFromMatrix(content)
		if caption == "" {
			return nil, fmt.Errorf("failed to convert an edit without text: %w", network.ErrUnsupported)
		}
		return network.Text{Body: prefix + caption}, nil
	}
	converted, err := FromMatrix(content)
	if err != nil {
		return nil, err
	}
	text, ok := converted.(network.Text)
	if !ok {
		return nil, fmt.Errorf("failed to convert an edit: %w", network.ErrUnsupported)
	}
	return network.Text{Body: prefix + text.Body}, nil
}

// PollText is a poll as a text with numbered options, and hint, which says how to answer, at its end.
func PollText(poll *event.PollStartEventContent, hint string) (network.Content, error) {
	question := strings.TrimSpace(plainOf(poll.PollStart.Question))
	options := poll.PollStart.Answers
	if question == "" || len(options) == 0 || len(options) > maxOptions {
		return nil, fmt.Errorf("failed to convert a poll of %d options: %w", len(options), network.ErrUnsupported)
	}
	var out strings.Builder
	fmt.Fprintf(&out, "📊 *%s*", strings.ReplaceAll(question, "*", ""))
	for i, option := range options {
		fmt.Fprintf(&out, "\n%d. %s", i+1, line(plainOf(option.MSC1767Message), maxOption))
	}
	if hint != "" {
		out.WriteString("\n" + hint)
	}
	return network.Text{Body: out.String()}, nil
}

func plainOf(text event.MSC1767Message) string {
	if text.Text != "" {
		return text.Text
	}
	for _, form := range text.Message {
		if form.MimeType == "" || form.MimeType == "text/plain" {
			return form.Body
		}
	}
	return ""
}

// locationText is a place as a text with a link to a map.
func locationText(content *event.MessageEventContent) (network.Content, error) {
	latitude, longitude, err := parseGeo(content.GeoURI)
	if err != nil {
		return nil, fmt.Errorf("failed to convert a location: %w: %w", network.ErrUnsupported, err)
	}
	at := func(degrees float64) string { return strconv.FormatFloat(degrees, 'f', -1, 64) }
	link := fmt.Sprintf("https://www.openstreetmap.org/?mlat=%s&mlon=%s#map=16/%s/%s",
		at(latitude), at(longitude), at(latitude), at(longitude))
	name := strings.TrimSpace(cleanText(content.Body))
	if name == "" || strings.Contains(name, "geo:") {
		return network.Text{Body: "📍 " + link}, nil
	}
	return network.Text{Body: "📍 " + name + "\n" + link}, nil
}

// parseGeo reads a geo URI (RFC 5870).
func parseGeo(uri string) (latitude, longitude float64, err error) {
	rest, found := strings.CutPrefix(uri, "geo:")
	rest, _, _ = strings.Cut(rest, ";")
	parts := strings.Split(rest, ",")
	if !found || len(parts) < 2 || len(parts) > 3 {
		return 0, 0, fmt.Errorf("not a geo URI")
	}
	latitude, err = strconv.ParseFloat(parts[0], 64)
	if err == nil {
		longitude, err = strconv.ParseFloat(parts[1], 64)
	}
	// Written so that NaN is out of range too.
	if err != nil || !(math.Abs(latitude) <= 90) || !(math.Abs(longitude) <= 180) {
		return 0, 0, fmt.Errorf("not a place on earth")
	}
	return latitude, longitude, nil
}
