package bridge

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"sync"

	"github.com/rs/zerolog"

	"maunium.net/go/mautrix"
	"maunium.net/go/mautrix/bridgev2"
	bridgedb "maunium.net/go/mautrix/bridgev2/database"
	"maunium.net/go/mautrix/bridgev2/networkid"
	"maunium.net/go/mautrix/id"

	"causeway/network"
)

const (
	iconSize = 128
	// iconVersion changes with the drawing, so that a new one is uploaded once.
	iconVersion = "1"
)

// emblem is how a network's picture looks: a letter on a coloured disc. The
// networks' own signs are trademarks and not ours to use.
type emblem struct {
	disc color.NRGBA
	// strokes are the letter's lines from point to point, in hundredths of the picture's size.
	strokes []image.Point
}

func emblems() map[network.Network]emblem {
	return map[network.Network]emblem{
		network.WhatsApp: {
			disc:    color.NRGBA{R: 0x2e, G: 0x8b, B: 0x6f, A: 0xff},
			strokes: []image.Point{{X: 26, Y: 34}, {X: 38, Y: 68}, {X: 50, Y: 42}, {X: 62, Y: 68}, {X: 74, Y: 34}},
		},
		network.Messenger: {
			disc:    color.NRGBA{R: 0x4a, G: 0x5f, B: 0xc1, A: 0xff},
			strokes: []image.Point{{X: 28, Y: 68}, {X: 32, Y: 34}, {X: 50, Y: 58}, {X: 68, Y: 34}, {X: 72, Y: 68}},
		},
	}
}

// icons are the networks' pictures as they lie on the homeserver.
type icons struct {
	mutex    sync.Mutex
	uploaded map[network.Network]uploadedIcon
}

type uploadedIcon struct {
	uri  id.ContentURIString
	hash [32]byte
}

// upload brings pictures to the homeserver that are not there yet. Without them
// rooms are plain, so a failure is logged and tried again at the next start. They go by the bot's own client: bridgev2's
// intents look at a limit that is still being asked for while the bridge starts.
func (i *icons) upload(ctx context.Context, bridge *bridgev2.Bridge, bot *mautrix.Client) {
	i.mutex.Lock()
	defer i.mutex.Unlock()
	i.uploaded = make(map[network.Network]uploadedIcon)
	for n, e := range emblems() {
		data, err := e.draw()
		if err != nil {
			zerolog.Ctx(ctx).Err(err).Msg("Failed to draw a network's picture")
			continue
		}
		key := bridgedb.Key("causeway_icon_" + iconVersion + "_" + string(n))
		uri := id.ContentURIString(bridge.DB.KV.Get(ctx, key))
		if uri == "" {
			answer, err := bot.UploadBytesWithName(ctx, data, "image/png", string(n)+".png")
			if err != nil {
				zerolog.Ctx(ctx).Warn().Err(err).Msg("Failed to upload a network's picture")
				continue
			}
			uri = answer.ContentURI.CUString()
			bridge.DB.KV.Set(ctx, key, string(uri))
		}
		i.uploaded[n] = uploadedIcon{uri: uri, hash: sha256.Sum256(data)}
	}
}

func (i *icons) uri(n network.Network) id.ContentURIString {
	i.mutex.Lock()
	defer i.mutex.Unlock()
	return i.uploaded[n].uri
}

// avatar is the picture of people of whom the network shows none, nil where it could not be uploaded.
func (i *icons) avatar(n network.Network) *bridgev2.Avatar {
	i.mutex.Lock()
	defer i.mutex.Unlock()
	icon, ok := i.uploaded[n]
	if !ok {
		return nil
	}
	return &bridgev2.Avatar{ID: networkid.AvatarID("network:" + string(n) + ":" + iconVersion), MXC: icon.uri, Hash: icon.hash}
}

// draw paints the emblem as PNG, always the same bytes.
func (e emblem) draw() ([]byte, error) {
	const centre, radius, pen = iconSize / 2, iconSize/2 - 1, 5.5
	picture := image.NewNRGBA(image.Rect(0, 0, iconSize, iconSize))
	for y := range iconSize {
		for x := range iconSize {
			dx, dy := float64(x)-centre+0.5, float64(y)-centre+0.5
			if dx*dx+dy*dy > radius*radius {
				continue
			}
			ink := e.disc
			if e.onStroke(float64(x)+0.5, float64(y)+0.5, pen) {
				ink = color.NRGBA{R: 0xff, G: 0xff, B: 0xff, A: 0xff}
			}
			picture.SetNRGBA(x, y, ink)
		}
	}
	var out bytes.Buffer
	if err := png.Encode(&out, picture); err != nil {
		return nil, fmt.Errorf("failed to encode a picture: %w", err)
	}
	return out.Bytes(), nil
}

// onStroke says whether a point is within the pen's width of one of the letter's lines.
func (e emblem) onStroke(x, y, pen float64) bool {
	const scale = float64(iconSize) / 100
	for k := 1; k < len(e.strokes); k++ {
		ax, ay := float64(e.strokes[k-1].X)*scale, float64(e.strokes[k-1].Y)*scale
		bx, by := float64(e.strokes[k].X)*scale, float64(e.strokes[k].Y)*scale
		along := ((x-ax)*(bx-ax) + (y-ay)*(by-ay)) / ((bx-ax)*(bx-ax) + (by-ay)*(by-ay))
		along = min(max(along, 0), 1)
		dx, dy := x-ax-along*(bx-ax), y-ay-along*(by-ay)
		if dx*dx+dy*dy <= pen*pen {
			return true
		}
	}
	return false
}
