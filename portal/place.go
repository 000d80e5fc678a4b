package portal

import (
	"fmt"
	"strconv"
	"strings"

	"maunium.net/go/mautrix/bridgev2"
	"maunium.net/go/mautrix/event"

	"causeway/network"
)

// maxPlace is how many characters of a place's description are shown.
const maxPlace = 500

// placeToMatrix shows a place: by geo_uri for all clients, and in the extensible form (MSC3488) for those that draw maps.
func placeToMatrix(place network.Location) *bridgev2.ConvertedMessagePart {
	uri := geoURI(place)
	described := strings.Join(nonEmpty(line(place.Name, maxPlace), line(place.Address, maxPlace)), ", ")
	shown := strings.Join(nonEmpty(described, line(place.Caption, maxPlace)), "\n")
	if shown == "" {
		shown = fmt.Sprintf("%s, %s", degrees(place.Latitude), degrees(place.Longitude))
	}
	inner := map[string]any{"uri": uri}
	if described != "" {
		inner["description"] = described
	}
	return &bridgev2.ConvertedMessagePart{
		Type: event.EventMessage,
		Content: &event.MessageEventContent{
			MsgType: event.MsgLocation, Body: shown, GeoURI: uri, Mentions: &event.Mentions{},
		},
		Extra: map[string]any{
			"org.matrix.msc3488.location": inner,
			"org.matrix.msc3488.asset":    map[string]any{"type": "m.pin"},
			"org.matrix.msc1767.text":     shown,
		},
		DBMetadata: &MessageMetadata{},
	}
}

// geoURI names a place by RFC 5870.
func geoURI(place network.Location) string {
	uri := "geo:" + degrees(place.Latitude) + "," + degrees(place.Longitude)
	if place.Accuracy > 0 {
		uri += ";u=" + strconv.Itoa(place.Accuracy)
	}
	return uri
}

func degrees(value float64) string { return strconv.FormatFloat(value, 'f', -1, 64) }

func nonEmpty(texts ...string) []string {
	var kept []string
	for _, text := range texts {
		if text != "" {
			kept = append(kept, text)
		}
	}
	return kept
}

// placeFromMatrix reads a place that a user shared. Errors wrap [network.ErrUnsupported].
func placeFromMatrix(content *event.MessageEventContent) (network.Content, error) {
	latitude, longitude, err := parseGeo(content.GeoURI)
	if err != nil {
		return nil, fmt.Errorf("failed to convert a location: %w: %w", network.ErrUnsupported, err)
	}
	place := network.Location{Latitude: latitude, Longitude: longitude}
	if _, parameters, found := strings.Cut(content.GeoURI, ";"); found {
		for parameter := range strings.SplitSeq(parameters, ";") {
			if radius, ok := strings.CutPrefix(parameter, "u="); ok {
				if metres, err := strconv.ParseFloat(radius, 64); err == nil && metres >= 0 && metres < 1e6 {
					place.Accuracy = int(metres)
				}
			}
		}
	}
	if name := line(content.Body, maxPlace); !strings.Contains(name, "geo:") {
		place.Name = name
	}
	return place, nil
}
