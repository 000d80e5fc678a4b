package crash

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"strings"

	"maunium.net/go/mautrix"
	"maunium.net/go/mautrix/id"

	"causeway/e2e/crash/checker"
	"causeway/failpoint"
	"causeway/simulator/meta"
)

// mix says what is said in a phase: which shares of it are files and reactions, the rest is text, and which share goes
// from the network to Matrix.
type mix struct {
	files, reactions, toMatrix float64
	// long is the share of the texts to Matrix that are too long for one event: their beginning stands in the room, and all
	// of them in a file after it.
	long float64
	// changes is the share of edits and removals of earlier texts, where the network has them.
	changes float64
	// sealed is the share of lines before which the user sends something encrypted, for which nobody has a key.
	sealed float64
}

const (
	// leaning is the share of lines that go the way that a failpoint is on.
	leaning = 0.7
	// filler is how many bytes a file has behind its picture, so that it goes in more than one piece.
	filler = 100 << 10
	// longText is how many bytes a long text has.
	longText = 40 << 10
	// recent is how many of the newest lines of a chat may get a reaction, or be edited or taken back.
	recent = 20
)

// mixOf is the mix for a phase where users have logged in by a flow.
func mixOf(phase Phase, flow Flow) mix {
	m := mixIn(phase)
	if flow != WhatsApp {
		m.changes = 0.2
	}
	return m
}

func mixIn(phase Phase) mix {
	if phase.Fault != nil && phase.Fault.mix != (mix{}) {
		return phase.Fault.mix
	}
	m := mix{toMatrix: 0.5, long: 0.1}
	switch {
	case phase.Fault != nil:
		m.reactions = 0.1
		return m
	case strings.HasPrefix(phase.Name, "R"):
		m.toMatrix = leaning
	case strings.HasPrefix(phase.Name, "M"):
		m.toMatrix = 1 - leaning
	}
	switch phase.Name {
	case failpoint.MediaToMatrix, failpoint.MediaToNetwork, failpoint.MediaStored:
		m.files = 0.5
	case failpoint.SendBefore, failpoint.SendCommitted, failpoint.SendUsed:
		m.long = 0.4
	case failpoint.FrontWaitingKeys:
		m.sealed = 0.5
	case failpoint.RedactOrEdit:
		m.reactions = 0.5
	case Anywhere:
		m.files, m.reactions = 0.05, 0.1
	}
	if phase.Name == failpoint.MediaStored {
		m.toMatrix = 1 - leaning
	}
	return m
}

// photo is a picture that no other line has.
func photo(seq int) []byte {
	picture := image.NewRGBA(image.Rect(0, 0, 48, 32))
	for x := range 48 {
		for y := range 32 {
			picture.Set(x, y, color.RGBA{uint8(x * seq), uint8(y * 5), uint8(seq), 255})
		}
	}
	var out bytes.Buffer
	_ = jpeg.Encode(&out, picture, nil) // a buffer takes everything
	fmt.Fprintf(&out, "%d", seq)
	out.Write(bytes.Repeat([]byte{byte(seq)}, filler))
	return out.Bytes()
}

// lengthen makes a text so long that it is a line and more.
func lengthen(line string) string {
	return line + "\n" + strings.Repeat("and so on, ", longText/len("and so on, "))
}

// firstLine is the line in a text that may be a long one.
func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

func sumOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// post says a line in a chat, with a file if there is one, and returns what its own side calls it.
func (w *world) post(c *chat, direction checker.Direction, text string, file []byte) (string, error) {
	switch {
	case direction == checker.ToMatrix && file == nil:
		return c.person.Say(c.user.jid, text)
	case direction == checker.ToMatrix:
		return c.person.SendMedia(c.user.jid, meta.Media{Kind: meta.Image, Bytes: file, Caption: text, Width: 48, Height: 32})
	}
	content := map[string]any{"msgtype": "m.text", "body": text}
	if file != nil {
		address, err := w.upload(c.user, file)
		if err != nil {
			return "", err
		}
		content = map[string]any{
			"msgtype": "m.image", "body": text, "filename": "photo.jpg", "url": address,
			"info": map[string]any{"mimetype": "image/jpeg", "size": len(file), "w": 48, "h": 32},
		}
	}
	return w.hs.Send(c.room, c.user.id, "m.room.message", content)
}

func (w *world) upload(u *user, file []byte) (string, error) {
	client, err := mautrix.NewClient(w.hs.URL(), id.UserID(u.id), u.token)
	if err != nil {
		return "", fmt.Errorf("failed to upload a file: %w", err)
	}
	resp, err := client.UploadBytes(context.Background(), file, "image/jpeg")
	if err != nil {
		return "", fmt.Errorf("failed to upload a file: %w", err)
	}
	return resp.ContentURI.String(), nil
}

// reaction is what somebody has put on a message, as far as the generator knows.
type reaction struct{ emoji, event string }

func emojis() []string { return []string{"👍", "😀", "🎉"} }

// seal sends an encrypted event for which the bridge has no key and will get none.
func (w *world) seal(c *chat) error {
	_, err := w.hs.Send(c.room, c.user.id, "m.room.encrypted", map[string]string{
		"algorithm": "m.megolm.v1.aes-sha2", "ciphertext": "AwgA", "session_id": "of a device that is gone", "sender_key": "gone", "device_id": "GONE",
	})
	return err
}

// react puts a reaction on a newer line of the other side that has arrived, changes or takes back the one that is there. It
// returns false if there is no such line.
func (t *talk) react(c *chat, direction checker.Direction) bool {
	target, found := t.target(c, direction)
	if !found {
		return false
	}
	key := fmt.Sprint(direction, target.ID)
	now, is := t.reactions[key], t.reactions[key].emoji != ""
	next := emojis()[t.rng.IntN(len(emojis()))]
	switch {
	case is && t.rng.IntN(2) == 0:
		next = ""
	case next == now.emoji:
		next = ""
	}
	var err error
	takenBack := ""
	if direction == checker.ToMatrix {
		now.event, err = t.reactAsPerson(c, target, next)
	} else {
		takenBack, now.event, err = t.reactAsUser(c, target, now, next)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	reacted := checker.Reacted{Direction: direction, Chat: c.name, Target: target.ID, Accepted: err == nil}
	if direction == checker.ToNetwork && is {
		// taken back first, as clients do
		reacted.ID = takenBack
		t.reacted = append(t.reacted, reacted)
	}
	if direction == checker.ToMatrix || next != "" {
		reacted.Emoji, reacted.ID = next, now.event
		t.reacted = append(t.reacted, reacted)
	}
	t.reactions[key] = reaction{next, now.event}
	if err != nil {
		t.refused++
		t.world.options.note("a reaction was not accepted: %v", err)
	}
	return true
}

// target is a line of the other side in a chat that has arrived.
func (t *talk) target(c *chat, direction checker.Direction) (checker.Said, bool) {
	return t.pick(c, func(said checker.Said) bool { return said.Direction != direction && t.arrived(said.Text(t.key)) })
}

// pick picks one of the newest lines of a chat that fit and that nobody has taken back.
func (t *talk) pick(c *chat, fits func(checker.Said) bool) (checker.Said, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var lines []checker.Said
	for i := len(t.said) - 1; i >= 0 && len(lines) < recent; i-- {
		said := t.said[i]
		if said.Chat == c.name && said.Accepted && !t.takenBack[said.ID] && fits(said) {
			lines = append(lines, said)
		}
	}
	if len(lines) == 0 {
		return checker.Said{}, false
	}
	return lines[t.rng.IntN(len(lines))], true
}

func (t *talk) reactAsPerson(c *chat, target checker.Said, emoji string) (string, error) {
	text := target.Text(t.key)
	for _, heard := range c.person.Heard() {
		if heard.Text == text {
			return c.person.React(heard, emoji)
		}
	}
	return "", fmt.Errorf("failed to find %q on the phone again", text)
}

// reactAsUser returns what the homeserver calls the redaction of the reaction that was there, and the new one.
func (t *talk) reactAsUser(c *chat, target checker.Said, now reaction, emoji string) (takenBack, event string, err error) {
	hs := t.world.hs
	if now.emoji != "" {
		if takenBack, err = hs.Send(c.room, c.user.id, "m.room.redaction", map[string]string{"redacts": now.event}); err != nil {
			return "", "", err
		}
	}
	if emoji == "" {
		return takenBack, "", nil
	}
	event, err = hs.Send(c.room, c.user.id, "m.reaction", map[string]any{
		"m.relates_to": map[string]string{"rel_type": "m.annotation", "event_id": t.world.eventOf(target.Text(t.key)), "key": emoji},
	})
	return takenBack, event, err
}
