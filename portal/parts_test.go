package portal

import (
	"testing"

	"github.com/stretchr/testify/require"
	"maunium.net/go/mautrix/bridgev2"
	"maunium.net/go/mautrix/bridgev2/database"
	"maunium.net/go/mautrix/bridgev2/networkid"

	"causeway/network"
)

// inRoom are the events of a message as bridgev2 keeps them.
func inRoom(metadata *MessageMetadata, parts ...networkid.PartID) (existing []*database.Message) {
	for _, part := range parts {
		existing = append(existing, &database.Message{PartID: part, Metadata: metadata})
	}
	return existing
}

func inTwo() *bridgev2.ConvertedMessage {
	return Converted(network.Message{}, textPart(notice("the beginning")), textPart(notice("all of it")))
}

func partsOf(converted *bridgev2.ConvertedMessage) (parts []networkid.PartID) {
	if converted != nil {
		for _, part := range converted.Parts {
			parts = append(parts, part.ID)
		}
	}
	return parts
}

func TestAMessageIsCompleted(t *testing.T) {
	of2 := &MessageMetadata{Parts: 2}
	require.Equal(t, of2, inTwo().Parts[0].DBMetadata)
	require.Equal(t, of2, inTwo().Parts[1].DBMetadata)
	for name, test := range map[string]struct{ existing, missing []networkid.PartID }{
		"the second is missing": {[]networkid.PartID{""}, []networkid.PartID{"1"}},
		"the first is missing":  {[]networkid.PartID{"1"}, []networkid.PartID{""}},
		"none is missing":       {[]networkid.PartID{"", "1"}, nil},
	} {
		existing := inRoom(of2, test.existing...)
		require.Equal(t, test.missing != nil, IsIncomplete(existing), name)
		change := Complete(inTwo(), existing)
		require.Equal(t, test.missing, partsOf(change.AddedParts), name)
		require.Empty(t, change.ModifiedParts, name)
	}
	require.False(t, IsIncomplete(inRoom(&MessageMetadata{}, "")), "a message of one event")
}

// An edit is done once however often it is tried, and each try finds what the one before has left.
func TestAnEditIsTriedAgain(t *testing.T) {
	edit := network.MessageID{ID: "E"}
	change := NewForm(inTwo(), inRoom(&MessageMetadata{Parts: 2}, "", "1"), edit)
	require.Len(t, change.ModifiedParts, 1)
	require.Len(t, change.DeletedParts, 1)
	require.Equal(t, networkid.PartID("1"), change.DeletedParts[0].PartID)
	added := partsOf(change.AddedParts)
	require.Len(t, added, 1)
	require.NotEqual(t, networkid.PartID("1"), added[0], "it is not the old one")

	change = NewForm(inTwo(), inRoom(&MessageMetadata{Parts: 2}, ""), edit)
	require.Equal(t, added, partsOf(change.AddedParts), "the old one is gone, the new one to come")
	change = NewForm(inTwo(), inRoom(&MessageMetadata{Parts: 2}, "", added[0]), edit)
	require.Empty(t, change.DeletedParts, "what the edit brought stays")
	require.Nil(t, change.AddedParts)

	one := Converted(network.Message{}, textPart(notice("short now")))
	change = NewForm(one, inRoom(&MessageMetadata{Parts: 2}, "", added[0]), network.MessageID{ID: "F"})
	require.Equal(t, added[0], change.DeletedParts[0].PartID)
	require.Nil(t, change.AddedParts)
	require.Zero(t, change.ModifiedParts[0].Part.Metadata.(*MessageMetadata).Parts)
}

// What is taken back while a placeholder stands for it does not come any more.
func TestAPlaceholderIsTakenBack(t *testing.T) {
	stood := inRoom(&MessageMetadata{Placeholder: true}, "")
	require.True(t, IsPlaceholder(stood[0]))
	require.True(t, TakeBack(stood[0]))
	require.False(t, IsPlaceholder(stood[0]))
	require.False(t, IsIncomplete(stood))
	require.True(t, TakeBack(stood[0]), "also at the next try")

	for _, whole := range []*MessageMetadata{{}, {Parts: 2}} {
		require.False(t, TakeBack(inRoom(whole, "")[0]))
	}
}
