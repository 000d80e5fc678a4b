package checker

// Record is all that the checker is told of a run.
type Record struct {
	// Run is the run's name, Key what its lines are signed with.
	Run string
	Key []byte
	// Bot is the Matrix account of the bridge itself.
	Bot string
	// Chats are the conversations, by name.
	Chats map[string]Chat
	// Said is what the generator has sent, in its order within each chat and direction.
	Said []Said
	// Reacted is what it has done to messages, in its order.
	Reacted []Reacted
	// Changed is which texts it has edited and taken back, in its order.
	Changed []Changed
	// Rooms and Phones are what each side saw, each from its first message.
	Rooms  []Room
	Phones []Phone
}

// Chat is one conversation between a Matrix user and a person.
type Chat struct {
	// User is the Matrix user's id, Address what the same user is called on the network.
	User, Address string
	// Person is the address of the person's phone.
	Person string
}

// Said is a line that the generator has tried to send.
type Said struct {
	Line
	// Phase is what the run was about at that time, for the table.
	Phase string
	// Accepted says that the side took it. A line that it did not take may appear or not.
	Accepted bool
	// ID is what that side calls the message.
	ID string
	// File is the SHA-256 of the file that the line is the caption of, empty if there is none.
	File string
}

// Reacted is a reaction that the generator has put on a message, changed or taken back.
type Reacted struct {
	Direction Direction
	// Chat is the conversation, Target what the other side calls the message that it is about.
	Chat, Target string
	// Emoji is empty where the reaction was taken back.
	Emoji string
	// Accepted says that the side took it; whatever is on a message may be there if one was not.
	Accepted bool
	// ID is what its own side calls it. It does not count where its author was told that it failed.
	ID string
}

// Changed is a new text that the generator has given to a line, or that it has taken the line back.
type Changed struct {
	Direction Direction
	// Chat is the conversation, Target what its own side calls the line.
	Chat, Target string
	// Version is the number of the new text, from 1; 0 where the line was taken back.
	Version int
	// Accepted says that the side took it; if it did not, the line may be shown either way.
	Accepted bool
	// ID is what its own side calls it. It does not count where its author was told that it failed.
	ID string
}

// Room is a Matrix room.
type Room struct {
	ID string
	// Conversation is what the room's state says it is bridged to, empty if it is no portal.
	Conversation string
	// Members are those who are in it or invited.
	Members []string
	// Seen are the messages in the server's order.
	Seen []Seen
	// Failed are the messages whose authors were told, for good, that they have failed.
	Failed []string
	// Marks are the reactions that nobody has taken back.
	Marks []Mark
}

// Phone is a person's phone.
type Phone struct {
	Address string
	// Seen are the messages in the order in which the phone showed them, after it has dropped repeats of an id.
	Seen []Seen
	// Marks are all reactions in the order in which the phone showed them, taken back ones and what took them back too.
	Marks []Mark
}

// Mark is a reaction as one side shows it.
type Mark struct{ From, Target, Emoji string }

// Seen is a message as one side shows it.
type Seen struct {
	ID, From, Text string
	// Replaces is the id of an earlier message in the same place whose text this one replaces, empty if it is no edit.
	Replaces string
	// Removes is the id of an earlier message in the same place that is taken back by this one, empty if it is no removal.
	Removes string
	// TakenBack says that nothing of it is left but that it was there.
	TakenBack bool
	// Version is the number of its text, 0 if it was not edited.
	Version int
	// File is the SHA-256 of its file, empty if it has none.
	File string
	// Notice says that it is marked as said by a program.
	Notice bool
}
