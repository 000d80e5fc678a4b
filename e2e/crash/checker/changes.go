package checker

// changed names a line by what its own side calls it.
type changed struct {
	direction Direction
	chat, id  string
}

// fate is what has become of a line: the number of its text, and whether it was taken back. It is unsure if a change was not
// accepted, or its author was told that it failed: what is taken back before the bridge has seen it is nowhere to be taken back.
type fate struct {
	version           int
	takenBack, unsure bool
}

func (c *check) noteChanges() {
	for _, change := range c.record.Changed {
		if change.Accepted {
			c.verdict.Changes++
		}
		told := change.Direction == ToNetwork && c.told[change.ID]
		if told {
			c.verdict.ChangesTold++
		}
		key := changed{change.Direction, change.Chat, change.Target}
		now := c.fates[key]
		now.version = change.Version
		now.takenBack = now.takenBack || change.Version == 0
		now.unsure = now.unsure || !change.Accepted || told
		c.fates[key] = now
	}
}

func (c *check) fateOf(said Said) fate { return c.fates[changed{said.Direction, said.Chat, said.ID}] }

// checkVersion holds a line that is shown to what has become of it.
func (c *check) checkVersion(said Said, seen Seen) {
	switch now := c.fateOf(said); {
	case now.unsure:
	case now.takenBack:
		c.find(Unchanged, said, "%s is there, although it was taken back", name(said))
	case seen.Version != now.version:
		c.find(Unchanged, said, "%s has text %d instead of %d", name(said), seen.Version, now.version)
	}
}
