package main

import (
	"strings"
	"time"

	"causeway/network"
	"causeway/simulator/meta"
)

// character is somebody on a simulated network.
type character struct {
	network network.Network
	// number is a phone number on WhatsApp, and an account number on Messenger, where the username finds them too.
	number, username string
	name, about      string
	// optedIn says whether they have turned on third-party chats.
	optedIn bool
	// pace is how long they type.
	pace time.Duration
	// says chooses an answer; turn counts the messages that they have heard, from 0.
	says func(heard meta.Heard, turn int) answer
}

// answer is what somebody does about a message, as far as it is set: react, send a file or a text, and think again.
type answer struct {
	react string
	file  *meta.Media
	text  string
	// better is what the text is edited to, unsend takes it back; both are of Messenger only.
	better string
	unsend bool
}

func characters() []character {
	return []character{
		{network.WhatsApp, "+4915110000001", "", "Anna", "chatty; ask her for a photo or a voice message", true, 1500 * time.Millisecond, annaSays},
		{network.WhatsApp, "+4915110000002", "", "Bert", "a baker; ask him for the bill", true, time.Second, bertSays},
		{network.WhatsApp, "+4915110000003", "", "Carla", "takes her time and says little", true, 4 * time.Second, carlaSays},
		{network.WhatsApp, "+4915110000004", "", "Dora", "has not turned on third-party chats", false, 0, nil},
		{network.WhatsApp, "+4915110000005", "", "Emil", "repeats what you say, quickly; good for trying things", true, 100 * time.Millisecond, emilSays},
		{network.Messenger, "100000000000001", "gus.example", "Gus", "cannot spell, and edits what he wrote", true, time.Second, gusSays},
		{network.Messenger, "100000000000002", "hedi.example", "Hedi", "likes stickers; says too much and takes it back", true, time.Second, hediSays},
		{network.Messenger, "100000000000003", "ida.example", "Ida", "has not turned on third-party chats", false, 0, nil},
	}
}

// found is what the bridge's users find somebody by.
func (c character) found() string {
	if c.username != "" {
		return c.username
	}
	return c.number
}

// join puts somebody into their network.
func (c character) join(net *meta.Network) *meta.Person {
	if c.network == network.WhatsApp {
		return net.WhatsApp(c.number, c.name)
	}
	person := net.Messenger(c.number, c.name)
	person.SetUsername(c.username)
	return person
}

func annaSays(heard meta.Heard, turn int) answer {
	answers := []string{
		"Oh hello! Your name comes up as a third-party chat here. Where are you writing from?",
		"Matrix? Never heard of it, but it works. It rings on my phone like anybody else.",
		"And you see my answers over there, at once? Funny.",
		"I have to catch my tram. Write again!",
	}
	switch asked := strings.ToLower(heard.Text); {
	case heard.Media != nil && heard.Media.Kind == meta.Image:
		return answer{react: "😍", text: "How beautiful!"}
	case heard.Media != nil:
		return answer{react: "👍", text: "Thank you, I will look at it on the tram."}
	case strings.Contains(asked, "photo"), strings.Contains(asked, "picture"):
		return answer{file: &meta.Media{Kind: meta.Image, Bytes: sunset(), Caption: "From my window, *just now*", Width: sunsetWidth, Height: sunsetHeight}}
	case strings.Contains(asked, "voice"):
		return answer{file: &meta.Media{Kind: meta.Voice, Bytes: hello, Duration: 3 * time.Second, Waveform: murmur()}}
	case strings.Contains(asked, "?") && turn > 0:
		return answer{react: "👍", text: "Good question. I will think about it on the tram."}
	}
	return answer{text: answers[min(turn, len(answers)-1)]}
}

func bertSays(heard meta.Heard, turn int) answer {
	switch asked := strings.ToLower(heard.Text); {
	case strings.Contains(asked, "bill"):
		return answer{file: &meta.Media{Kind: meta.Document, MIME: "application/pdf", Bytes: bill(), FileName: "bill.pdf", Caption: "Here you are"}}
	case strings.Contains(asked, "bread"):
		return answer{text: "Rye today, with caraway. It is still warm."}
	case turn == 0:
		return answer{text: "Bert's bakery. What can I put aside for you?"}
	}
	return answer{text: "Noted. Anything else? We close at six."}
}

func carlaSays(_ meta.Heard, turn int) answer {
	return answer{text: []string{"Hm.", "Maybe.", "I see.", "Later."}[turn%4]}
}

func emilSays(heard meta.Heard, _ int) answer { return answer{text: heard.Text} }

func gusSays(_ meta.Heard, turn int) answer {
	answers := []answer{
		{text: "Helo, Gus here on Mesenger.", better: "Hello, Gus here on Messenger."},
		{text: "I am down at the habrour.", better: "I am down at the harbour."},
		{text: "See you tommorow!", better: "See you tomorrow!"},
	}
	return answers[min(turn, len(answers)-1)]
}

func hediSays(heard meta.Heard, turn int) answer {
	switch {
	case heard.Removed != "", heard.Edited != "":
		return answer{}
	case turn == 0:
		return answer{file: &meta.Media{Kind: meta.Sticker, MIME: "image/png", Bytes: smile(), Width: smileSize, Height: smileSize}}
	case turn%2 == 1:
		return answer{text: "Between you and me: Gus cannot spell.", unsend: true}
	}
	return answer{react: "😂", text: "I have said nothing."}
}
