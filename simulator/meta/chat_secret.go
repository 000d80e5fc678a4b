package meta

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"go.mau.fi/whatsmeow/proto/waCommon"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/types"
	"google.golang.org/protobuf/proto"
)

// This file is what refers to an earlier message under a secret that came with it: votes and answers to events.

const (
	secretVote     = "Poll Vote"
	secretResponse = "Event Response"
	secretReaction = "Enc Reaction"
	secretComment  = "Enc Comment"
)

// withSecret gives a message the secret that later ones refer to.
func withSecret(m *waE2E.Message) *waE2E.Message {
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // never fails
	m.MessageContextInfo = &waE2E.MessageContextInfo{MessageSecret: secret}
	return m
}

// secretKey is the key for what a person says about an earlier message, and what is authenticated along with it.
func secretKey(secret []byte, id, author, by, purpose string) (key, extra []byte, err error) {
	key, err = hkdf.Key(sha256.New, secret, nil, id+author+by+purpose, 32)
	if purpose == secretReaction || purpose == secretComment {
		return key, nil, err
	}
	return key, fmt.Appendf(nil, "%s\x00%s", id, by), err
}

var errNoSecret = errors.New("the message has no secret")

// talkByID finds a message of a chat that the phone keeps. p.mu is held.
func (p *Person) talkByID(id string) (talk, error) {
	i := slices.IndexFunc(p.talks, func(t talk) bool { return t.id == id })
	if i < 0 {
		return talk{}, fmt.Errorf("message %s: %w", id, errNeverHeard)
	}
	return p.talks[i], nil
}

// sealSecret encrypts what the person says about a message. p.mu is held.
func (p *Person) sealSecret(about talk, purpose string, plaintext proto.Message) (payload, iv []byte, err error) {
	secret := about.message.GetMessageContextInfo().GetMessageSecret()
	if len(secret) == 0 {
		return nil, nil, errNoSecret
	}
	key, extra, err := secretKey(secret, about.id, about.sender.String(), p.user.lid.String(), purpose)
	if err != nil {
		return nil, nil, err
	}
	data, err := proto.Marshal(plaintext)
	if err != nil {
		return nil, nil, err
	}
	aead, err := newAEAD(key)
	if err != nil {
		return nil, nil, err
	}
	iv = make([]byte, 12)
	_, _ = rand.Read(iv) // never fails
	return aead.Seal(nil, iv, data, extra), iv, nil
}

// openSecret decrypts what somebody said about a message. Either side may have used either number. p.mu is held.
func (p *Person) openSecret(about talk, by types.JID, purpose string, payload, iv []byte, into proto.Message) error {
	secret := about.message.GetMessageContextInfo().GetMessageSecret()
	if len(secret) == 0 || len(iv) != 12 {
		return errNoSecret
	}
	for _, author := range p.n.bothNumbers(about.sender) {
		for _, speaker := range p.n.bothNumbers(by) {
			key, extra, err := secretKey(secret, about.id, author, speaker, purpose)
			if err != nil {
				return err
			}
			aead, err := newAEAD(key)
			if err != nil {
				return err
			}
			if plain, err := aead.Open(nil, iv, payload, extra); err == nil {
				return proto.Unmarshal(plain, into)
			}
		}
	}
	return errors.New("the secret does not fit")
}

// bothNumbers are the two addresses of somebody, as text.
func (n *Network) bothNumbers(jid types.JID) []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	if u := n.userAt(jid.ToNonAD()); u != nil {
		return []string{u.lid.String(), u.pn.String()}
	}
	return []string{jid.ToNonAD().String()}
}

// Announce writes text with a secret, as phones do where others' reactions and comments are encrypted: in the announcement groups
// of communities.
func (p *Person) Announce(to, text string) (id string, err error) {
	return p.SendMessage(to, withSecret(&waE2E.Message{ExtendedTextMessage: &waE2E.ExtendedTextMessage{Text: &text}}))
}

// ReactSealed reacts to an announcement, CommentSealed answers it; only who has its secret can read that.
func (p *Person) ReactSealed(to, messageID, emoji string) (id string, err error) {
	reaction := &waE2E.ReactionMessage{Text: &emoji, SenderTimestampMS: proto.Int64(p.n.now().UnixMilli())}
	return p.sendSealed(to, messageID, secretReaction, reaction, func(key *waCommon.MessageKey, payload, iv []byte) *waE2E.Message {
		return &waE2E.Message{EncReactionMessage: &waE2E.EncReactionMessage{TargetMessageKey: key, EncPayload: payload, EncIV: iv}}
	})
}

// CommentSealed answers an announcement.
func (p *Person) CommentSealed(to, messageID, text string) (id string, err error) {
	comment := &waE2E.Message{ExtendedTextMessage: &waE2E.ExtendedTextMessage{Text: &text}}
	return p.sendSealed(to, messageID, secretComment, comment, func(key *waCommon.MessageKey, payload, iv []byte) *waE2E.Message {
		return &waE2E.Message{EncCommentMessage: &waE2E.EncCommentMessage{TargetMessageKey: key, EncPayload: payload, EncIV: iv}}
	})
}

func (p *Person) sendSealed(
	to, messageID, purpose string, plaintext proto.Message, wrap func(key *waCommon.MessageKey, payload, iv []byte) *waE2E.Message,
) (id string, err error) {
	chat, err := p.chatOf(to)
	if err != nil {
		return "", err
	}
	p.mu.Lock()
	about, err := p.talkByID(messageID)
	var payload, iv []byte
	if err == nil {
		payload, iv, err = p.sealSecret(about, purpose, plaintext)
	}
	key := p.keyOf(chat, messageID)
	p.mu.Unlock()
	if err != nil {
		return "", err
	}
	return p.SendMessage(to, wrap(key, payload, iv))
}

// SendPoll asks a question with options, of which several may be chosen, 0 for as many as one likes.
func (p *Person) SendPoll(to, question string, several int, options ...string) (id string, err error) {
	poll := &waE2E.PollCreationMessage{Name: &question, SelectableOptionsCount: proto.Uint32(uint32(several))}
	for _, option := range options {
		poll.Options = append(poll.Options, &waE2E.PollCreationMessage_Option{OptionName: &option})
	}
	if several == 1 {
		return p.SendMessage(to, withSecret(&waE2E.Message{PollCreationMessageV3: poll}))
	}
	return p.SendMessage(to, withSecret(&waE2E.Message{PollCreationMessage: poll}))
}

// Vote chooses options of a poll, none to take the vote back.
func (p *Person) Vote(to, pollID string, options ...string) (id string, err error) {
	vote := &waE2E.PollVoteMessage{}
	for _, option := range options {
		vote.SelectedOptions = append(vote.SelectedOptions, sumOf([]byte(option)))
	}
	return p.sendSealed(to, pollID, secretVote, vote, func(key *waCommon.MessageKey, payload, iv []byte) *waE2E.Message {
		return &waE2E.Message{PollUpdateMessage: &waE2E.PollUpdateMessage{PollCreationMessageKey: key,
			Vote: &waE2E.PollEncValue{EncPayload: payload, EncIV: iv}, SenderTimestampMS: proto.Int64(p.n.now().UnixMilli())}}
	})
}

// pollIn is the poll of a message, nil if it has none.
func pollIn(m *waE2E.Message) *waE2E.PollCreationMessage {
	for _, poll := range []*waE2E.PollCreationMessage{m.GetPollCreationMessage(), m.GetPollCreationMessageV2(), m.GetPollCreationMessageV3(),
		m.GetPollCreationMessageV5()} {
		if poll != nil {
			return poll
		}
	}
	return nil
}

// showVote reads a vote: the poll and the options. What does not fit is a finding. p.mu is held.
func (p *Person) showVote(h hearing, update *waE2E.PollUpdateMessage) *HeardVote {
	shown := &HeardVote{PollID: update.GetPollCreationMessageKey().GetID()}
	poll, err := p.talkByID(shown.PollID)
	var vote waE2E.PollVoteMessage
	if err == nil {
		err = p.openSecret(poll, h.sender, secretVote, update.GetVote().GetEncPayload(), update.GetVote().GetEncIV(), &vote)
	}
	if err != nil {
		p.n.finding("bad-vote", fmt.Sprintf("%s sent %s: %v", h.sender, h.id, err))
		return shown
	}
	for _, hash := range vote.GetSelectedOptions() {
		name := ""
		for _, option := range pollIn(inner(poll.message)).GetOptions() {
			if slices.Equal(sumOf([]byte(option.GetOptionName())), hash) {
				name = option.GetOptionName()
			}
		}
		if name == "" {
			p.n.finding("bad-vote", fmt.Sprintf("%s sent %s: an option that the poll does not have", h.sender, h.id))
		}
		shown.Options = append(shown.Options, name)
	}
	return shown
}
