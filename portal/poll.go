package portal

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"maunium.net/go/mautrix/bridgev2"
	"maunium.net/go/mautrix/event"
	"maunium.net/go/mautrix/id"

	"causeway/network"
)

const (
	// maxPollOptions is how many options the network's polls have, and maxPollOption how many characters each.
	maxPollOptions = 12
	maxPollOption  = 100
	maxQuestion    = 255

	pollText  = "org.matrix.msc1767.text"
	pollStart = "org.matrix.msc3381.poll.start"
	pollReply = "org.matrix.msc3381.poll.response"
)

// PollMetadata remembers how a poll's options are named in Matrix: by id, the hashes by which the network names them. It
// is kept only where a Matrix user's client has chosen the ids; all others are the hashes themselves.
type PollMetadata map[string][]byte

func optionHash(option string) []byte {
	sum := sha256.Sum256([]byte(option))
	return sum[:]
}

// pollToMatrix shows a poll as one (MSC3381), with the text of it for clients that know none.
func pollToMatrix(poll network.Poll) *bridgev2.ConvertedMessagePart {
	answers := make([]map[string]any, len(poll.Options))
	for i, option := range poll.Options {
		answers[i] = map[string]any{"id": hex.EncodeToString(optionHash(option)), pollText: line(option, maxOption)}
	}
	choices := poll.Choices
	if choices <= 0 || choices > len(poll.Options) {
		choices = max(1, len(poll.Options))
	}
	question := line(poll.Question, maxOption)
	return &bridgev2.ConvertedMessagePart{
		Type:    event.EventUnstablePollStart,
		Content: &event.MessageEventContent{MsgType: event.MsgText, Body: writtenPoll(poll, ""), Mentions: &event.Mentions{}},
		Extra: map[string]any{
			pollText: writtenPoll(poll, ""),
			pollStart: map[string]any{
				"kind": "org.matrix.msc3381.poll.disclosed", "max_selections": choices,
				"question": map[string]any{pollText: question, "body": question, "msgtype": event.MsgText},
				"answers":  answers,
			},
		},
		DBMetadata: &MessageMetadata{},
	}
}

// writtenPoll is a poll as a text with numbered options.
func writtenPoll(poll network.Poll, hint string) string {
	var out strings.Builder
	fmt.Fprintf(&out, "📊 %s", line(poll.Question, maxOption))
	for i, option := range poll.Options {
		fmt.Fprintf(&out, "\n%d. %s", i+1, line(option, maxOption))
	}
	if hint != "" {
		out.WriteString("\n" + hint)
	}
	return out.String()
}

// VoteToMatrix shows a vote on a poll that stands in the room as event. Options that the poll does not have are left out.
func VoteToMatrix(vote network.Vote, poll id.EventID, known PollMetadata) *bridgev2.ConvertedMessagePart {
	answers := make([]string, 0, len(vote.Options))
	for _, hash := range vote.Options {
		answers = append(answers, answerID(hash, known))
	}
	return &bridgev2.ConvertedMessagePart{
		Type: event.EventUnstablePollResponse,
		Content: &event.MessageEventContent{
			RelatesTo: &event.RelatesTo{Type: event.RelReference, EventID: poll}, Mentions: &event.Mentions{},
		},
		Extra:      map[string]any{pollReply: map[string]any{"answers": answers}},
		DBMetadata: &MessageMetadata{},
	}
}

func answerID(hash []byte, known PollMetadata) string {
	for answer, of := range known {
		if bytes.Equal(of, hash) {
			return answer
		}
	}
	return hex.EncodeToString(hash)
}

// PollFromMatrix converts a poll of a Matrix user. Errors wrap [network.ErrUnsupported] where the network has no such poll.
func PollFromMatrix(content *event.PollStartEventContent) (network.Poll, PollMetadata, error) {
	poll := network.Poll{Question: line(plainOf(content.PollStart.Question), maxQuestion), Choices: content.PollStart.MaxSelections}
	answers := PollMetadata{}
	for _, answer := range content.PollStart.Answers {
		option := line(plainOf(answer.MSC1767Message), maxPollOption)
		if option == "" || answer.ID == "" || hasHash(answers, optionHash(option)) {
			return poll, nil, fmt.Errorf("failed to convert a poll with empty or equal options: %w", network.ErrUnsupported)
		}
		poll.Options = append(poll.Options, option)
		answers[answer.ID] = optionHash(option)
	}
	if poll.Question == "" || len(poll.Options) < 2 || len(poll.Options) > maxPollOptions {
		return poll, nil, fmt.Errorf("failed to convert a poll of %d options: %w", len(poll.Options), network.ErrUnsupported)
	}
	if poll.Choices < 1 {
		poll.Choices = 1 // what MSC3381 says of a poll that names no number
	}
	if poll.Choices >= len(poll.Options) {
		poll.Choices = 0
	}
	return poll, answers, nil
}

func hasHash(answers PollMetadata, hash []byte) bool {
	for _, known := range answers {
		if bytes.Equal(known, hash) {
			return true
		}
	}
	return false
}

// VoteFromMatrix converts a vote of a Matrix user on a poll. An answer that the poll does not have is an error.
func VoteFromMatrix(target network.MessageID, content *event.PollResponseEventContent, known PollMetadata) (network.Vote, error) {
	vote := network.Vote{Poll: target}
	for _, answer := range content.Response.Answers {
		hash, ok := known[answer]
		if !ok {
			decoded, err := hex.DecodeString(answer)
			if err != nil || len(decoded) != sha256.Size || len(known) > 0 {
				return vote, fmt.Errorf("failed to convert a vote for an option that there is not: %w", network.ErrUnsupported)
			}
			hash = decoded
		}
		vote.Options = append(vote.Options, hash)
	}
	return vote, nil
}
