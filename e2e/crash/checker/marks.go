package checker

import "slices"

// marked is a message with somebody's reactions on it.
type marked struct {
	direction    Direction
	from, target string
}

// checkMarks compares the reactions that were put on messages with those that each side shows: in a room what is there
// at the end, on a phone all of them in order.
func (c *check) checkMarks() {
	done, unsure := map[marked][]string{}, map[marked]bool{}
	for _, reacted := range c.record.Reacted {
		if reacted.Accepted {
			c.verdict.Reactions++
		}
		if reacted.Direction == ToNetwork && c.told[reacted.ID] {
			continue
		}
		key := marked{reacted.Direction, c.reactor(reacted), reacted.Target}
		done[key] = append(done[key], reacted.Emoji)
		unsure[key] = unsure[key] || !reacted.Accepted || c.fates[changed{reacted.Direction.other(), reacted.Chat, reacted.Target}].takenBack
	}
	shown := c.shownMarks()
	for key, emojis := range done {
		want := emojis
		if key.direction == ToMatrix {
			want = slices.DeleteFunc(emojis[len(emojis)-1:], func(emoji string) bool { return emoji == "" })
		}
		if !unsure[key] && !slices.Equal(shown[key], want) {
			c.find(Unmarked, Said{}, "%s shows %q on %s by %s instead of %q", key.direction, shown[key], key.target, key.from, want)
		}
		delete(shown, key)
	}
	for key, emojis := range shown {
		c.find(Unmarked, Said{}, "%s shows %q on %s by %s, who never did that", key.direction, emojis, key.target, key.from)
	}
}

// reactor is what the other side calls whoever reacts.
func (c *check) reactor(reacted Reacted) string {
	chat := c.record.Chats[reacted.Chat]
	if reacted.Direction == ToNetwork {
		return chat.Address
	}
	return c.ghosts[chat.Person]
}

func (c *check) shownMarks() map[marked][]string {
	shown := map[marked][]string{}
	add := func(direction Direction, mark Mark) {
		key := marked{direction, mark.From, mark.Target}
		shown[key] = append(shown[key], mark.Emoji)
	}
	for _, room := range c.record.Rooms {
		for _, mark := range room.Marks {
			if !c.users[mark.From] {
				add(ToMatrix, mark)
			}
		}
	}
	for _, phone := range c.record.Phones {
		for _, mark := range phone.Marks {
			add(ToNetwork, mark)
		}
	}
	return shown
}
