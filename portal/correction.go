package portal

import "causeway/network"

// keptCorrections is how many corrections of a room are remembered.
const keptCorrections = 64

// Corrections are messages that were sent in place of edits, oldest first. In the room each is one with the message that
// was edited, so an answer to either is an answer to that one.
type Corrections []CorrectionOf

// CorrectionOf is the bare id of a correction, and the whole id of the message that was edited.
type CorrectionOf struct {
	ID       string `json:"id"`
	Original string `json:"original"`
}

// Corrected remembers a correction.
func (m *Metadata) Corrected(correction, original network.MessageID) {
	if m.Corrections == nil {
		m.Corrections = &Corrections{}
	}
	for _, known := range *m.Corrections {
		if known.ID == correction.ID {
			return
		}
	}
	all := append(*m.Corrections, CorrectionOf{ID: correction.ID, Original: original.String()})
	*m.Corrections = all[max(0, len(all)-keptCorrections):]
}

// Original is the message that stands in the room for id: the one that it corrects, or itself.
func (m *Metadata) Original(id network.MessageID) network.MessageID {
	if m.Corrections == nil {
		return id
	}
	for _, known := range *m.Corrections {
		if known.ID != id.ID {
			continue
		}
		if original, err := network.ParseMessageID(known.Original); err == nil && original.Sender == id.Sender {
			return original
		}
	}
	return id
}
