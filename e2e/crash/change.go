package crash

import (
	"fmt"
	"strings"

	"causeway/e2e/crash/checker"
)

const (
	// takenBack is the share of changes that take a line back.
	takenBack = 0.25
	// versionMark begins the second line of an edited text, which tells its number.
	versionMark = "text "
)

// edited is a line with the text of the given number.
func edited(line string, version int) string { return fmt.Sprint(line, "\n", versionMark, version) }

// readEdited reads a text that may have been edited. One that was not is its own line, with the number 0.
func readEdited(text string) (line string, version int) {
	line, rest, _ := strings.Cut(text, "\n")
	_, _ = fmt.Sscanf(rest, versionMark+"%d", &version) // anything else is no number
	if version == 0 || text != edited(line, version) {
		return text, 0
	}
	return line, version
}

// change edits a newer line of one's own, or takes it back. It returns false if there is none.
func (t *talk) change(c *chat, direction checker.Direction) bool {
	said, found := t.own(c, direction)
	if !found {
		return false
	}
	changed := checker.Changed{Direction: direction, Chat: c.name, Target: said.ID}
	text := ""
	if t.rng.Float64() >= takenBack {
		changed.Version = t.versions[said.ID] + 1
		text = edited(said.Text(t.key), changed.Version)
	}
	var err error
	if direction == checker.ToMatrix {
		changed.ID, err = changeAsPerson(c, said.ID, text)
	} else {
		changed.ID, err = t.world.changeAsUser(c, said.ID, text)
	}
	changed.Accepted = err == nil
	t.mu.Lock()
	defer t.mu.Unlock()
	t.changed = append(t.changed, changed)
	t.versions[said.ID] = max(changed.Version, t.versions[said.ID])
	t.takenBack[said.ID] = changed.Version == 0
	if err != nil {
		t.refused++
		t.world.options.note("a change was not accepted: %v", err)
	}
	return true
}

// own is a text of one's own that can still be changed, also before it has arrived.
func (t *talk) own(c *chat, direction checker.Direction) (checker.Said, bool) {
	return t.pick(c, func(said checker.Said) bool { return said.Direction == direction && said.File == "" })
}

func changeAsPerson(c *chat, target, text string) (string, error) {
	if text == "" {
		return c.person.Unsend(c.user.jid, target)
	}
	return c.person.Edit(c.user.jid, target, text)
}

func (w *world) changeAsUser(c *chat, target, text string) (string, error) {
	if text == "" {
		return w.hs.Send(c.room, c.user.id, "m.room.redaction", map[string]string{"redacts": target})
	}
	return w.hs.Send(c.room, c.user.id, "m.room.message", map[string]any{
		"msgtype": "m.text", "body": "* " + text, "m.new_content": map[string]any{"msgtype": "m.text", "body": text},
		"m.relates_to": map[string]string{"rel_type": "m.replace", "event_id": target},
	})
}
