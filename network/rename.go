package network

// Renamed is an event with people under other addresses: rename says what an address is by now, and is not asked about
// the zero address. It changes nothing that e itself refers to.
func Renamed(e Event, rename func(Address) Address) Event {
	r := renamer(func(a Address) Address {
		if a.IsZero() {
			return a
		}
		return rename(a)
	})
	switch e := e.(type) {
	case MessageEvent:
		e.Message.ID = r.message(e.Message.ID)
		e.Message.ReplyTo = r.target(e.Message.ReplyTo)
		e.Message.Mentions = r.all(e.Message.Mentions)
		e.Message.Content = r.content(e.Message.Content)
		return e
	case ReceiptEvent:
		e.Conversation, e.Reader, e.Sender = r(e.Conversation), r(e.Reader), r(e.Sender)
		return e
	case TypingEvent:
		e.Conversation, e.Sender = r(e.Conversation), r(e.Sender)
		return e
	case IdentityEvent:
		e.Person = r(e.Person)
		return e
	case PersonEvent:
		e.Person = r(e.Person)
		return e
	case ChatEvent:
		e.Conversation, e.By, e.Message = r(e.Conversation), r(e.By), r.target(e.Message)
		return e
	case CallEvent:
		e.Conversation, e.Caller = r(e.Conversation), r(e.Caller)
		return e
	case GroupEvent:
		e.By = r(e.By)
		e.Change = r.group(e.Change)
		return e
	}
	return e
}

type renamer func(Address) Address

func (r renamer) message(id MessageID) MessageID {
	id.Conversation, id.Sender = r(id.Conversation), r(id.Sender)
	return id
}

func (r renamer) target(id *MessageID) *MessageID {
	if id == nil {
		return nil
	}
	renamed := r.message(*id)
	return &renamed
}

func (r renamer) all(people []Address) []Address {
	var renamed []Address
	for _, person := range people {
		renamed = append(renamed, r(person))
	}
	return renamed
}

func (r renamer) content(content Content) Content {
	switch content := content.(type) {
	case Reaction:
		content.Target = r.message(content.Target)
		return content
	case Edit:
		content.Target, content.Content = r.message(content.Target), r.content(content.Content)
		return content
	case Remove:
		content.Target = r.message(content.Target)
		return content
	case Vote:
		content.Poll = r.message(content.Poll)
		return content
	case Media:
		content.Album = r.target(content.Album)
		return content
	}
	return content
}

func (r renamer) group(change GroupChange) GroupChange {
	for _, people := range []*[]Address{
		&change.Added, &change.Joined, &change.Removed, &change.Left, &change.Promoted, &change.Demoted,
		&change.Requested, &change.Withdrawn,
	} {
		*people = r.all(*people)
	}
	if change.Whole != nil {
		whole := *change.Whole
		whole.Members = nil
		for _, member := range change.Whole.Members {
			member.Address = r(member.Address)
			whole.Members = append(whole.Members, member)
		}
		change.Whole = &whole
	}
	return change
}
