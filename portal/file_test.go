package portal_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"causeway/network"
	"causeway/portal"
)

func TestDocumentsOnMessengerHaveTheirTextApart(t *testing.T) {
	document := portal.File{Media: network.Media{Kind: network.Document, Caption: "the bill"}}
	require.Equal(t, document, document.For(portal.AbilitiesOf(network.WhatsApp)))
	apart := document.For(portal.AbilitiesOf(network.Messenger))
	require.Empty(t, apart.Media.Caption)
	require.Equal(t, "the bill", apart.Apart)
	image := portal.File{Media: network.Media{Kind: network.Image, Caption: "the bill"}}
	require.Equal(t, image, image.For(portal.AbilitiesOf(network.Messenger)))
}
