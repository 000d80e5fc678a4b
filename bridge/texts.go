package bridge

import (
	"fmt"
	"strings"
	"time"

	"maunium.net/go/mautrix/bridgev2/status"

	"causeway/network"
)

// Every word that people read is in this file. Sentences say what happened and
// what can be done next; {network} is the network's name. A block by the other
// side is never told, as the network does not tell it.

// Errors about the other person.
const (
	textNotOptedIn    = "This person does not take part in third-party chats with this server. Usually third-party chats are off in their {network} settings: ask them to turn them on there and to allow this service. This chat stays readable, and opens again when they write or when you start the chat again."
	textUnknownPerson = "This person cannot be reached on {network} from here: the {identifier} is not on {network}, or not in the region where third-party chats exist. Check the {identifier}, {form}."
	textBadIdentifier = "This is not a {identifier} that {network} understands. Write it {form}."
	textNoEncryption  = "No encrypted session could be set up with this person on {network}. Try again later; if it stays so, ask them to open {network} once."
	textRegion        = "Third-party chats exist in the European Economic Area only, and {network} or your own statement places one of you outside of it. Nothing can be sent from here."
)

// Errors about content.
const (
	textUnsupported = "Third-party chats cannot carry this. What they carry are texts, pictures, videos, voice messages and files: send it as one of these."
	textTooLarge    = "This is too large for {network}: a text may have 65,536 characters, and a file 100 MB. Send it in parts, or send a link."
	textRejected    = "{network} did not accept the form of this message. This is a fault of the bridge: please tell your administrator the code."
	textNoEdits     = "Messages in third-party chats cannot be edited: the other side still sees the old text. Send a correction as a new message."
	textNoReactions = "Reactions are not sent in this chat: the other side has not shown that it knows them, or your administrator turned them off. Send the emoji as a message instead."
	textNoDeletes   = "Deleting works on your side only: the other side keeps their copy."
	textNoPolls     = "Polls cannot be sent in third-party chats. Ask the question as a text."
	textNotAnEmoji  = "Only a single emoji can be sent as a reaction; no words, and no pictures of your own."
	textNotHere     = "This can be done with messages of this chat only, and edits only with your own."
	textNoVotes     = "Votes are not sent: on {network} the poll is a text. Send the number of your choice as a message."
	textNoDownload  = "The file could not be fetched from your homeserver. Send it again in a while."
	textYouBlocked  = "You ignore this person at the moment, so nothing is sent. Write `unblock` to the bridge bot to change that."
)

// Errors about what waits.
const (
	textFlooded     = "You send faster than this bridge passes messages on, and too many of yours wait already. This one was not taken: send it again when the others have gone."
	textSlow        = "It took too long to hand this file to {network}, and what you wrote after it had to wait. Send it again in a while, or a smaller one."
	textNeverSent   = "The message that you edited was not sent, so there is nothing to edit. Send the new text as a message of its own."
	textDropped     = "This message was given up with `drop` or by your administrator, and is not tried again."
	textSetAside    = "The bridge could not handle this message: it ended the program each time. It is set aside and kept; please tell your administrator the code and the time."
	textAccountGone = "The account that this was for is not logged in any more, so nothing can be sent. Send `login` to the bridge bot if you want to enlist again."
	textInboxFull   = "Too many messages wait for your homeserver at the moment. {network} keeps what is newer, and the bridge fetches it by itself when there is room."
	textDiskLow     = "The disk of this bridge is nearly full. {network} keeps what is newer, and the bridge fetches it by itself when there is room. Your administrator has been told."
)

// How an event of a network stands in the journal.
const (
	textRowTransient   = "Your homeserver does not take it at the moment. It is tried again until it works."
	textRowCredentials = "The homeserver does not know this bridge any more. The administrator must check that the registration file is the one that the homeserver has."
	textRowRefused     = "The homeserver refuses it: the room is gone, or the bridge may not write there. Once that is mended it can be tried again."
	textRowTooLarge    = "The homeserver takes no message of this size."
	textRowOurs        = "The bridge could not make a Matrix message of it. This is a fault of the bridge; a later version tries it again by itself."
	textRowGone        = "The account that it was for is not logged in any more."
	textRowUnreadable  = "What the journal holds of it does not open: it was written by another version, or the instance secret is not the one that it was sealed with."
	textRowDeadly      = "The program ended each time when it came to this one, so it was set aside. This is a fault of the bridge; it can be tried again after an update."
	textRowPlaceholder = "It could not be shown, and something else stands in the room for it. A later version tries it again by itself."
	textRowDropped     = "It was given up by an administrator."
	textRowRepeat      = "It was shown already, so nothing was left to do."
	textRowIgnored     = "There was nothing in it to show, or what it was about is not in the room."
	textRowOvertaken   = "It could not be opened when it came, and when it came again its sender had already changed their mind: the later change stands."
)

// What is sent in place of what third-party chats do not know.
const (
	textCorrection = "✏️ Correction: "
	textPollHint   = "(Answer with the number of your choice.)"
	textReplyAhead = "↩️"
	// textLongFileName is the name of the file that holds a text that is too long for a room.
	textLongFileName = "message.txt"
)

// What is told of files and messages in a room.
const (
	textKeepsCopy      = "Deleted for you only: the other side keeps their copy."
	textSentAsDocument = "This was sent as a document, as this server could not convert it to what the network shows in place."
	textFileSlow       = "A file is on its way that takes long. What was sent after it comes when it is here, or when it is given up after five minutes."
	textFileGone       = "it is not on the network any more"
	textFileBroken     = "it arrived damaged"
	textFileTooLarge   = "it is too large"
	textFileRefused    = "your homeserver does not take it"
	textFileQuota      = "they have sent more today than one person may"
	textFileStranger   = "they have sent a lot, and you have not accepted the chat yet"
	textFileFailed     = "the network does not give it"
	textFileUnknown    = "it is of a form that cannot be opened"
)

func textFileMissing(kind network.MediaKind, reason string) string {
	return fmt.Sprintf("A file (%s) was sent that cannot be shown: %s. Ask for it to be sent again.", kind, reason)
}

// Message requests, blocks and reports.
const (
	textNoRequest              = "There is no message request in this room that waits for an answer."
	textRequestAccepted        = "Accepted. They see from now on that their messages arrive, and what you have read."
	textRequestDeclined        = "Declined. You will hear nothing more of this person, and they are not told. Use `unblock` to change your mind."
	textBlockUsage             = "Usage: `$cmdprefix block <phone number>`, or `$cmdprefix block` in the room of the person."
	textUnblockUsage           = "Usage: `$cmdprefix unblock <phone number>`, or `$cmdprefix unblock` in the room of the person."
	textBlocked                = "You will hear nothing more of %s: what they send is thrown away unread. They are not told, and do not see that their messages arrive. Use `unblock` to end this."
	textBlockedAlready         = "You hear nothing of %s already."
	textUnblocked              = "You hear of %s again. What was sent meanwhile is gone."
	textNotBlocked             = "You have not blocked %s."
	textReportUsage            = "Usage: `$cmdprefix report <what happened>`. Your words, your name and the account of the person in this room go to the administrators of this server. As a reply to a message of the last days on Messenger, that message goes along, with what shows Messenger who sent it; otherwise no messages are added."
	textReported               = "Your report is with the administrators of this server. If you want to hear nothing more of this person, use `block`."
	textReportedWithMessage    = "The message that you replied to has gone along, with what shows who sent it."
	textReportedWithoutMessage = "The message that you replied to has not gone along: nothing is kept here, or not any more, that would show who sent it."
	// textProofFileName is the name of the file that administrators get.
	textProofFileName    = "reported message.json"
	textNobodyToReportTo = "The configuration of this bridge names no administrator who could read your report. Please write to whoever runs your server."
)

func textMessageRequest(name, number, prefix string) string {
	if number != "" {
		name += " (" + number + ")"
	}
	return fmt.Sprintf("%s wants to write to you. They see no receipts until you accept: answer, or write `%s accept`. With `%s decline` you hear nothing more of them.",
		name, prefix, prefix)
}

func textAbuseReport(user string, n network.Network, caseID, category string, count int) string {
	return fmt.Sprintf("%s reports complaints of its people about %s: %d, category %q, case %q. Its own rules say what follows from them; `consent withdraw` of that user, or an answer to %s, is yours to decide.",
		n.DisplayName(), user, count, category, caseID, n.DisplayName())
}

func textIntegratorStatus(n network.Network, status string) string {
	return fmt.Sprintf("%s has changed how this server stands with it as a provider: %q. Unless that is \"active\", users can be turned away at any time. Only %s can say why.",
		n.DisplayName(), status, n.DisplayName())
}

func textSuspendedUntil(until time.Time) string {
	return fmt.Sprintf("It is said to last until %s; the bridge connects again by itself.", until.UTC().Format("2006-01-02 15:04 MST"))
}

func textReport(user, person, words string) string {
	return fmt.Sprintf("Report by %s about %s: %s", user, person, words)
}

// Errors about the user's own account.
const (
	textTokenExpired = "{network} found the token with which this server speaks for you too old: it has expired. The bridge goes on trying, each time with a fresh one. If this lasts, the server's clock is probably wrong: please tell your administrator."
	textTokenRefused = "{network} refused the token with which this server speaks for you. You cannot mend this yourself: please tell your administrator, who should check the provider's keys and issuer, and then use `reconnect`."
	textNotEnlisted  = "{network} does not know your third-party account. Use `login` to enlist again."
	textSuspended    = "{network} has suspended your third-party account for a while. Messages cannot be sent until it is lifted; your administrator can ask {network} for the reason."
	textWithdrawn    = "Your third-party account on {network} has ended. Use `login` if you want to enlist again."
	textReplaced     = "Another connection of your {network} account took over. If this bridge does not run twice, use `reconnect`."
	textOutdated     = "{network} no longer talks to this version of the bridge. Your administrator has to update it."
	textNotLoggedIn  = "You are not logged in to this chat's network. Send `login` to the bridge bot."
)

// Errors that pass.
const (
	textRateLimited    = "{network} asks to slow down. Wait some minutes and send it again."
	textOutcomeUnknown = "{network} did not confirm the message. It may have arrived; sending it again can double it."
	textTemporary      = "{network} had a problem of its own. Send it again in a while."
	textNotConnected   = "There is no connection to {network} at the moment. The bridge reconnects by itself: send it again in a while, or look with `ping`."
	textUnexplained    = "Something went wrong in the bridge. Try again; if it stays so, please tell your administrator the code and the time."
)

// Errors of logging in.
const (
	textNoAgreement      = "This server has no agreement with Meta about third-party chats, so nobody can log in to {network} here."
	textStopped          = "Third-party chats are stopped on this server at the moment. Ask your administrator."
	textUserNotAllowed   = "Only users of this bridge's own homeserver may use third-party chats here: each provider may speak for its own users alone."
	textNoConsent        = "You have not agreed to the current terms of third-party chats. Use `login` to read them and to agree."
	textIdentifierTaken  = "{network} already knows your identifier as somebody else's. Your administrator can clear this up with {network}."
	textIdentityMismatch = "{network} still holds other keys of yours, from an earlier enlistment. Withdraw that one first, or ask your administrator."
	textNotStarted       = "The bridge is still starting. Try again in a minute."
	textLoggedInAlready  = "You already have a third-party account on {network}; one is all there is for each user. See it with `list-logins`, and end it with `consent withdraw`."
	textNotAgreed        = "Nothing was set up, as you did not agree. Use `login` to start over."
	textNoSuchFlow       = "There is no such way to log in. See the list with `login`."
)

// What a room says about itself.

func textTopic(n network.Network) string {
	return fmt.Sprintf("Third-party chat on %s. Your server decrypts messages to pass them on.", n.DisplayName())
}

func textAnnouncement(name string, n network.Network, encrypted bool) string {
	room := "This room is not encrypted."
	if encrypted {
		room = "This room is encrypted up to the bridge."
	}
	return fmt.Sprintf("Third-party chat with %s on %s. Your server decrypts messages to pass them on. History starts here. %s",
		name, n.DisplayName(), room)
}

func textBack(n network.Network) string {
	return fmt.Sprintf("You are connected to %s again.", n.DisplayName())
}

func textSpaceName(n network.Network) string { return n.DisplayName() + " third-party chats" }

func textSpaceTopic(n network.Network) string {
	return fmt.Sprintf("Your chats with people on %s", n.DisplayName())
}

const (
	textRoomOpened    = "Third-party chats are on again: you can write in this chat."
	textRoomWithdrawn = "You have left third-party chats on {network}. This chat stays readable; nothing can be sent or received any more."
	textUndecryptable = "A message came that could not be opened yet. It was asked for again and appears here if it comes."
)

func textUnsupportedContent(kind string) string {
	return fmt.Sprintf("Sent something that third-party chats cannot show here: %s. Ask for it as a text.", kind)
}

func textIdentityChanged(name string) string {
	return fmt.Sprintf("The security code of %s changed. Most often that means a new phone or a new installation. Anybody could say so: ask by another way if it matters.", name)
}

func textVerifiedChanged(name string) string {
	return fmt.Sprintf("The security code of %s changed, and you had compared it: your mark is taken away. Most often that means a new phone or a new installation. Compare again with `safety-number`, by another way than this chat.", name)
}

// Safety numbers. Where the digits come from is assumed, see docs/protocol.md#keys.
const (
	textSafetyUsage    = "Usage: `$cmdprefix safety-number <phone number>`, or `$cmdprefix safety-number` in the room of the person."
	textSafetyNumber   = "The safety number with %s:\n\n    %s\n\nIf their phone shows the same digits, nobody reads along between this server and their phone. That says nothing about the way between you and this server, which opens your messages to pass them on; and that phones show these digits for third-party chats is assumed, as Meta has not published it. When you have compared them, write `$cmdprefix verify <digits>` in the room of the chat."
	textSafetyVerified = "The safety number with %s, which you have compared:\n\n    %s"
	textSafetyDiffers  = "The safety number with %s is **not the one that you compared**:\n\n    %s\n\nMost often that means a new phone. Compare again by another way than this chat, and then use `verify`."
	textSafetyTooEarly = "There is no safety number with %s yet: it exists once a message went in either direction."
	textSafetyUnknown  = "This kind of account shows safety numbers on your phone only: open the chat there, and look at the contact's encryption."
	textVerifyUsage    = "Usage: `$cmdprefix verify <60 digits>`, with the digits that the other side reads to you. `safety-number` shows yours."
	textVerifyDiffers  = "These are **not** the digits that this server has with %s. Look for a slip first. If they really differ, somebody may be reading along: do not write anything secret here, and tell your administrator."
	textVerified       = "The digits are the same: you have compared the safety number with %s. If it changes, this room says so."
	textUnverified     = "Forgotten: the safety number with %s counts as not compared."
	textNotVerified    = "You have not compared the safety number with %s."
)

// What becomes of messages in the end.

const (
	textDiskBack = "There is room on the bridge's disk again: everything is taken in, and what waited at the networks and the homeserver comes now."
	textDelayed  = "Not delivered yet; still trying."
	textRestored = "The bridge was set back to an older copy of its data. Messages of the time since then may be missing here, or come again. All encrypted sessions begin anew."
)

func textLost(name string, n network.Network, why string) string {
	what := "Something that came from " + n.DisplayName()
	if name != "" {
		what = fmt.Sprintf("A message of %s on %s", name, n.DisplayName())
	}
	return fmt.Sprintf("%s could not be shown. %s The bridge keeps it for a while: your administrator can try it again.", what, why)
}

func textDiskAlarm(free, reserve uint64) string {
	return fmt.Sprintf("The bridge's disk is nearly full: %d MiB are free, and `network.delivery.min_free_disk` is %d MiB. Nothing is taken in any more; networks and homeserver keep it. Make room, and the bridge goes on by itself.",
		free>>20, reserve>>20)
}

// What became of a message.
const (
	textStatusUsage    = "Usage: `$cmdprefix status`; or as a reply to a message, or with the link to one, for what became of it."
	textWhyUsage       = "Usage: `$cmdprefix why CW-1201`, or `$cmdprefix why` as a reply to a notice with such a code or to a message."
	textRetryUsage     = "Usage: `$cmdprefix retry` as a reply to a message of yours that was not sent."
	textDropUsage      = "Usage: `$cmdprefix drop` as a reply to a message of yours that is not sent yet."
	textNothingKnown   = "Nothing is known of this message: it is older than what the bridge remembers, or it was not sent through it."
	textNothingWrong   = "Nothing is wrong with this message as far as the bridge knows. Use `status` as a reply for more."
	textNothingToRetry = "There is nothing to try again: this message was sent, or its content is not kept any more."
	textNothingToDrop  = "There is nothing to give up: this message was sent, or was given up before."
	textRetrying       = "It is tried again now."
	textGivenUp        = "It is given up and not tried again. If it was already under way it may still arrive."
	textRetryHint      = "Write `retry` as a reply to it to try again, or `drop` to have it forgotten; where you cannot write, send the same with the link of the message to the bridge bot."
	textUnderWay       = "It is under way to {network}, and waits its turn."
	textHeldBack       = "It is about a message that has not come yet, and waits for it."
	textNotShownYet    = "It is on its way to this room."
	textNoAnswer       = "{network} does not answer at the moment."
)

// clock is how times are told.
const clock = "2006-01-02 15:04:05 UTC"

func told(t time.Time) string { return t.UTC().Format(clock) }

func textStored(t time.Time) string { return "Taken by the bridge at " + told(t) + "." }

func textSent(n network.Network, sent, delivered, read time.Time) string {
	text := fmt.Sprintf("%s has it since %s.", n.DisplayName(), told(sent))
	if !delivered.IsZero() {
		text += " It reached the other phone at " + told(delivered) + "."
	}
	if !read.IsZero() {
		text += " It was read at " + told(read) + "."
	}
	if delivered.IsZero() && read.IsZero() {
		text += " The other phone has not confirmed it yet."
	}
	return text
}

func textNotSent(why string) string { return "It was not sent. " + why }

func textTriedSince(tries int, why string) string {
	if tries == 1 {
		return "It waits; one try has failed. " + why
	}
	return fmt.Sprintf("It waits; %d tries have failed. %s", tries, why)
}

// textPassing is a reason that passes by itself, as users are told of it while the bridge goes on trying.
func textPassing(err error, n network.Network) string {
	switch err {
	case network.ErrNotConnected:
		return "There is no connection to " + n.DisplayName() + " at the moment."
	case network.ErrRateLimited:
		return n.DisplayName() + " asks to slow down."
	case network.ErrOutcomeUnknown:
		return n.DisplayName() + " did not confirm it, so it is sent again as the same message: it cannot arrive twice."
	case network.ErrTemporary:
		return n.DisplayName() + " had a problem of its own."
	}
	return ""
}

func textCame(n network.Network, t time.Time) string {
	return fmt.Sprintf("It came from %s at %s.", n.DisplayName(), told(t))
}

func textShown(t time.Time) string { return "It is in this room since " + told(t) + "." }

func textTraffic(t time.Time) string { return "Last heard of the network at " + told(t) + "." }

func textWaiting(n network.Network, in, out, held wait) string {
	if in.rows+out.rows+held.rows == 0 {
		return "Nothing waits."
	}
	var parts []string
	for _, part := range []struct {
		wait
		where string
	}{{in, "for your homeserver"}, {out, "for " + n.DisplayName()}, {held, "for the message that it is about"}} {
		if part.rows > 0 {
			parts = append(parts, fmt.Sprintf("%d %s (the oldest since %s)", part.rows, part.where, told(part.oldest)))
		}
	}
	return "Waiting: " + strings.Join(parts, ", ") + "."
}

func textAnswered(n network.Network, took time.Duration) string {
	return fmt.Sprintf("%s answered within %d ms.", n.DisplayName(), max(1, took.Milliseconds()))
}

// Commands and login.

const (
	textFieldAgree   = "answer: do you agree? (yes or no)"
	textFieldCountry = "country: where do you live?"
	textCountryHint  = "The two-letter code of a state of the European Economic Area, such as DE, FR or PL."
	textBadCountry   = "Write the two-letter code of a state of the European Economic Area, one of: %s. Third-party chats exist nowhere else."
	textBadAnswer    = "Please answer yes or no."
)

func textFlow(n network.Network) string {
	text := fmt.Sprintf("third-party account: chat with people on %s who turned on third-party chats. You need no %s account", n.DisplayName(), n.DisplayName())
	if n == network.Messenger {
		text += ". It works only if this server's agreement with Meta covers Messenger, and no provider that has one is publicly known"
	}
	return text
}

// fill completes a text for a network: its name, and what its people are found by.
func fill(text string, n network.Network) string {
	identifier, form := "phone number", "with plus sign and country code, such as +4915112345678"
	if n == network.Messenger {
		identifier, form = "username or account number", "as in anna.example or 100001234567890"
	}
	return strings.NewReplacer("{network}", n.DisplayName(), "{identifier}", identifier, "{form}", form).Replace(text)
}

func textLoginDone(n network.Network, identifier, name string) string {
	example := "+49…"
	if n == network.Messenger {
		example = "anna.example"
	}
	return fmt.Sprintf("You are known to %s now as %s, with the name %s. People there find you by %s. Start a chat with `start-chat %s`.",
		n.DisplayName(), identifier, name, identifier, example)
}

func textNoFlows(missing []string, enabled, admin bool) string {
	text := "Nobody can log in here at the moment: this server has no agreement with Meta about third-party chats. Only a provider with such an agreement may connect its users to WhatsApp or Messenger this way."
	if !admin {
		return text + " Ask your administrator whether one is planned. (CW-1501)"
	}
	if len(missing) > 0 {
		text += "\n\nMissing in the configuration: `" + strings.Join(missing, "`, `") + "`."
	}
	if !enabled {
		text += "\n\nAnd `network.interop.enabled` is false."
	}
	return text + " (CW-1501)"
}

const (
	textConsentNone    = "There is no consent of yours on record: you have no third-party account here."
	textConsentAsk     = "This ends your third-party account on %s: the network forgets you, the keys here are erased, and your chats stay readable but closed. Write `withdraw` within two minutes to do it, or `cancel`."
	textConsentKept    = "Nothing was changed."
	textConsentDone    = "Your third-party account on %s has ended, and your consent is withdrawn."
	textConsentUsage   = "Usage: `$cmdprefix consent [show|withdraw|export|erase]`. With accounts on several networks, name the one to end: `consent withdraw messenger`."
	textExported       = "This is all that the bridge keeps about you, keys aside: consents, accounts, linked accounts, hosted files and chats, and how many rows of which table. Messages are not in it, as the bridge keeps none: they are in your rooms."
	textEraseAsk       = "This ends your accounts here, linked ones too, and erases what the bridge keeps about them: accounts, keys, hosted files, and which room is which chat. The accounts of your own that were linked stay as they are on your phone. Your rooms stay with what was written, as rooms like others, and a later account begins new ones. Of your consents stay their versions, their times and a code, to show that you gave them. Write `erase` within two minutes to do it, or `cancel`."
	textErased         = "Your accounts here have ended, and what the bridge kept about them is erased. Log files and backups of this server forget you when their own time is over."
	textStartChatUsage = "Usage: `$cmdprefix start-chat <phone number>`, with plus sign and country code, such as `start-chat +4915112345678`."
	// textStartChatMessenger follows where Messenger is offered.
	textStartChatMessenger = " People on Messenger are found by username or account number, such as `start-chat anna.example`."
	textChatReady          = "The chat is ready: [%s](%s)"
	textNoLogins           = "You are not logged in. Send `login` to see whether and how you can."
	textReconnecting       = "Reconnecting %s."
	textCryptoOff          = "This bridge does not encrypt rooms."
	textSessionDropped     = "The room's encryption session is dropped. The next message from the network starts a new one."
	textNoPuppet           = "The bridge does not act with your own Matrix account."
	textPuppetWorks        = "The bridge can act with your own Matrix account, %s."
	textPuppetRefused      = "The homeserver does not let the bridge act with your own Matrix account any more. Ask your administrator."
)

func textConsent(n network.Network, version, country, given, identifier, status string) string {
	return fmt.Sprintf("%s: you agreed to version %s of the terms on %s and stated that you live in %s. You are enlisted as %s (%s). Use `consent withdraw` to end this.",
		n.DisplayName(), version, given, country, identifier, status)
}

// textTermsChanged names the login flow by which the user agrees anew.
func textTermsChanged(n network.Network, version, flow string) string {
	return fmt.Sprintf("The terms of third-party chats on %s have changed; their version is %s now. Write `login %s` to read them and to agree. Until then "+
		"your account goes on under the terms that you agreed to, and if you do not agree, `consent withdraw` ends it.", n.DisplayName(), version, flow)
}

func textState(state status.BridgeStateEvent) string {
	switch state {
	case status.StateConnected:
		return "connected"
	case status.StateConnecting:
		return "connecting"
	case status.StateTransientDisconnect:
		return "the connection broke, and is being made again"
	case status.StateBadCredentials:
		return "refused by the network"
	default:
		return "not connected"
	}
}
