package meta

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"
	"google.golang.org/protobuf/proto"
)

// overTLS makes the client speak TLS to the listener that is for it, and trust its authority alone.
func (c *client) overTLS() {
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		if address == "web.whatsapp.com:443" {
			address = c.w.TLSAddr()
		}
		return new(net.Dialer).DialContext(ctx, network, address)
	}
	h := &http.Client{Transport: &http.Transport{DialContext: dial, TLSClientConfig: &tls.Config{RootCAs: c.w.CertPool()}}}
	c.SetWebsocketHTTPClient(h)
	c.SetPreLoginHTTPClient(h)
	c.SetMediaHTTPClient(h)
}

// throughProxy leaves the client nothing but a proxy setting and the authority.
func (c *client) throughProxy() {
	proxy, err := url.Parse(c.w.ProxyURL())
	require.NoError(c.t, err)
	h := &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(proxy), TLSClientConfig: &tls.Config{RootCAs: c.w.CertPool()}}}
	c.SetWebsocketHTTPClient(h)
	c.SetPreLoginHTTPClient(h)
	c.SetMediaHTTPClient(h)
}

// TestMediaOverTLS sends files both ways, the way clients do that know TLS only, directly and through the proxy.
func TestMediaOverTLS(t *testing.T) {
	for name, way := range map[string]func(*client){"direct": (*client).overTLS, "proxy": (*client).throughProxy} {
		t.Run(name, func(t *testing.T) {
			w := newLinkedWorld(t)
			anna, bob := w.WhatsApp("+4915110000001", "Anna"), w.WhatsApp("+4915110000002", "Bob")
			c := w.newClient()
			way(c)
			require.NoError(t, c.Connect())
			qr := awaitEvent(c, any1[*events.QR])
			_, err := anna.ScanQR(within(t), qr.Codes[0])
			require.NoError(t, err)
			awaitEvent(c, any1[*events.Connected])

			_, err = bob.SendMedia(anna.LID(), Media{Kind: Image, Bytes: []byte("a picture"), Caption: "look"})
			require.NoError(t, err)
			m := awaitEvent(c, func(m *events.Message) bool { return m.Message.GetImageMessage() != nil })
			data, err := c.Download(within(t), m.Message.GetImageMessage())
			require.NoError(t, err)
			require.Equal(t, "a picture", string(data))

			up, err := c.Upload(within(t), []byte("a video"), whatsmeow.MediaVideo)
			require.NoError(t, err)
			_, err = c.SendMessage(within(t), bob.user.lid, &waE2E.Message{VideoMessage: &waE2E.VideoMessage{URL: &up.URL, DirectPath: &up.DirectPath,
				MediaKey: up.MediaKey, FileEncSHA256: up.FileEncSHA256, FileSHA256: up.FileSHA256, FileLength: &up.FileLength,
				Mimetype: proto.String("video/mp4"), Caption: proto.String("watch")}})
			require.NoError(t, err)
			h, err := bob.Hears(within(t))
			require.NoError(t, err)
			require.Equal(t, Video, h.Media.Kind)
			require.Equal(t, "watch", h.Text)
			data, err = h.Media.Bytes()
			require.NoError(t, err)
			require.Equal(t, "a video", string(data))
		})
	}
}

func TestUploadsThatAreRefused(t *testing.T) {
	w := newLinkedWorld(t)
	anna := w.WhatsApp("+4915110000001", "Anna")
	c := w.linked(anna)
	w.Fault(Fault{Kind: FaultUpload})
	_, err := c.Upload(within(t), []byte("x"), whatsmeow.MediaImage)
	require.ErrorContains(t, err, "503")
	w.ExpectFinding("bad-upload")
	response, err := http.Post("http://"+w.ChatAddr()+"/mms/image/AAAA?auth="+w.mediaAuth()+"&token=AAAA", "", nil)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, http.StatusBadRequest, response.StatusCode)
}

func TestProxyLeadsNowhereElse(t *testing.T) {
	w := newLinkedWorld(t)
	w.ExpectFinding("foreign-host")
	proxy, err := url.Parse(w.ProxyURL())
	require.NoError(t, err)
	h := &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(proxy)}}
	_, err = h.Get("https://example.org/")
	require.ErrorContains(t, err, "Forbidden")
}

func TestContactsAndPictures(t *testing.T) {
	w := newLinkedWorld(t)
	anna, bob := w.WhatsApp("+4915110000001", "Anna"), w.WhatsApp("+4915110000002", "Bob")
	c := w.linked(anna)
	ctx := within(t)
	found, err := c.IsOnWhatsApp(ctx, []string{"+4915110000002", "+4915110009999"})
	require.NoError(t, err)
	require.True(t, found[0].IsIn)
	require.Equal(t, bob.user.lid, found[0].JID)
	require.Equal(t, bob.user.pn, found[0].PhoneNumber)
	require.False(t, found[1].IsIn)
	bob.SetAbout("at the sea")
	infos, err := c.GetUserInfo(ctx, []types.JID{bob.user.pn})
	require.NoError(t, err)
	require.Equal(t, "at the sea", infos[bob.user.pn].Status)
	require.Equal(t, bob.user.lid, infos[bob.user.pn].LID)

	_, err = c.GetProfilePictureInfo(ctx, bob.user.lid, nil)
	require.ErrorIs(t, err, whatsmeow.ErrProfilePictureNotSet)
	require.NoError(t, bob.SetPicture([]byte("\xff\xd8\xff picture")))
	change := awaitEvent(c, any1[*events.Picture])
	require.Equal(t, bob.user.pn, change.JID)
	info, err := c.GetProfilePictureInfo(ctx, bob.user.lid, nil)
	require.NoError(t, err)
	require.Equal(t, change.PictureID, info.ID)
	data, err := c.DownloadMediaWithOnlyPath(ctx, info.DirectPath)
	require.NoError(t, err)
	require.Equal(t, "\xff\xd8\xff picture", string(data))
	info, err = c.GetProfilePictureInfo(ctx, bob.user.lid, &whatsmeow.GetProfilePictureParams{ExistingID: info.ID})
	require.NoError(t, err)
	require.Nil(t, info)
	require.NoError(t, bob.SetPrivacy("profile", "none"))
	_, err = c.GetProfilePictureInfo(ctx, bob.user.lid, nil)
	require.ErrorIs(t, err, whatsmeow.ErrProfilePictureUnauthorized)

	c.Store.PushName = "Anna from afar"
	require.NoError(t, c.SendPresence(ctx, types.PresenceAvailable))
	_, err = c.SendMessage(ctx, bob.user.lid, plainText("hello"))
	require.NoError(t, err)
	h, err := bob.Hears(ctx)
	require.NoError(t, err)
	require.Equal(t, "Anna from afar", h.DisplayName)
}
