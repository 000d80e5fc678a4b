package bridge

import (
	"fmt"
	"strings"
	"time"

	"causeway/network"
	"causeway/portal"
)

// What is told about users' own accounts, of which the bridge is a linked device.

// Logging in.
const (
	textFlowQR   = "your own WhatsApp account, as a linked device: scan a QR code with your phone"
	textFlowCode = "your own WhatsApp account, as a linked device: type a code on your phone"

	textLinkWarning    = "Read this first. You are about to link this server to your own WhatsApp account, as WhatsApp Web is linked. It is not an official WhatsApp app: WhatsApp's terms do not allow others, and WhatsApp may warn you, log the device out, or suspend or ban your account. Your server decrypts your chats to pass them on. Keep WhatsApp on your phone and open it regularly: after about 14 days without the phone WhatsApp logs linked devices out."
	textLinkQR         = "To go on, open WhatsApp on your phone, choose Settings, Linked devices, Link a device, and scan the code that follows. It changes every few seconds, and the picture with it. `cancel` stops."
	textLinkCode       = "To go on, open WhatsApp on your phone, choose Settings, Linked devices, Link a device, Link with phone number instead, and type this code. `cancel` stops."
	textLinkPhone      = "number: what is the phone number of your WhatsApp account?"
	textLinkPhoneHint  = "With plus sign and country code, such as +4915112345678."
	textLinkScanned    = "Your phone has taken the code. Linking takes some seconds."
	textLinkPermission = "Your phone has scanned the code but does not allow linked devices yet: agree to that on the phone, and scan the code again."
	textLinkedNow      = "Linked to {account}. Your chats appear as messages come; older ones follow if your phone sends them. Find people with `search` or `start-chat`, and chats with `list`."
	textInstead        = "What works here is your own WhatsApp account: `login whatsapp-qr`."
	textLinkOff        = "Logging in to one's own WhatsApp account is turned off on this server."
	textLinkTaken      = "This WhatsApp account is linked by another user of this server already, so nothing was linked. To use it here, remove that link first: on your phone (WhatsApp, Settings, Linked devices), or by their `logout`. Then link again."
	textLinkAttempt    = "Somebody else on this server has just tried to link your WhatsApp account to themselves, with your phone in hand. Nothing was linked. If that was not you, see on your phone who has it in reach (WhatsApp, Settings, Linked devices)."
	textTakenOver      = "Your WhatsApp account is linked by another user of this server now, after your own link had ended. Your rooms stay readable but lead nowhere any more. If that was not you, open WhatsApp on your phone, remove the link under Settings, Linked devices, and use `login whatsapp-qr`."
	textRoomReleased   = "This chat is bridged here no longer: the WhatsApp account belongs to another user of this server now. The room stays readable."
)

// Refusals and endings.
const (
	textUnlinked        = "Your phone, or WhatsApp itself, has taken this server off the linked devices of your account. Your rooms stay. To go on, use `relogin` (or `login whatsapp-qr`): the rooms continue then."
	textLocked          = "WhatsApp has taken this server off your account: the account was moved to another phone, or WhatsApp has locked it. Open WhatsApp on your phone first and see whether it works there. If it does, use `relogin` (or `login whatsapp-qr`): your rooms stay and continue then."
	textBanned          = "WhatsApp has banned the account, for a while or for good. Open WhatsApp on your phone to see why and what can be done. Do not try again from here before that; afterwards use `reconnect`."
	textPasskey         = "WhatsApp asks for the account's passkey to link a device, and this bridge cannot give it yet. On your phone, see whether Settings, Account, Passkeys can be turned off; otherwise the account cannot be linked here."
	textLinkTimeout     = "Nobody used the code in time, and nothing was linked. Start again with `login`."
	textWrongAccount    = "This is another WhatsApp account than the one to be linked again, so nothing was linked. Scan with the right phone, or use `login` if you want this account in addition."
	textForeignEndpoint = "This login was made on another network than the one that the server is configured for (a simulated one, or the real one), so it is not used. Ask your administrator."
	textTooLateChange   = "This message is too old for that: {network} lets messages be edited for some minutes only, and deleted for everybody for some days."
	textForbidden       = "Only an administrator of the group may do this."
	textNotMember       = "You are not a member of this group, or not any more. The room stays readable."
	textUnknownGroup    = "There is no such group on WhatsApp."
	textBadInvite       = "The invitation does not work, or not any more. Ask for a new one."
	textApproval        = "An administrator of the group has to agree first. The room appears when they have."
	textPrivacy         = "The person's privacy settings do not let you do this."
	textNoPicture       = "There is no picture, or none that you may see."
	textOnlyPeople      = "Only people on WhatsApp can be invited to this room: their ghosts, or with `start-chat` by number. Other Matrix users have no part in your account."
	textNoBan           = "WhatsApp has no bans. Remove the person from the group instead."
	textBadPoll         = "WhatsApp's polls have 2 to 12 options, all different and none empty. Ask it that way."
	textBadTimer        = "WhatsApp's messages disappear after 24 hours, 7 days or 90 days, or not at all. Usage: `$cmdprefix timer <off|24h|7d|90d>`."
)

// What a room says about itself, and of messages in it.
const (
	textForwarded      = "Forwarded"
	textLiveLocation   = "(The beginning of a live location; see it move on your phone.)"
	textViewOnce       = "This was sent to be seen once. Here it stays until it is deleted."
	textViewOnceAway   = "Something was sent that is to be seen once. It is on your phone only."
	textGroupLeft      = "You are not in this group any more. The room stays readable."
	textGroupBack      = "You are in this group again: you can write."
	textLinkReset      = "The group's invitation link was replaced; the old one works no longer."
	textWantsInNoMore  = "%s does not want to join this group any more."
	textApprovalOn     = "Whoever joins this group by its link waits for an administrator now."
	textApprovalOff    = "Whoever has this group's link can join it now."
	textCallRinging    = "📞 Incoming call. It can be taken on your phone only; `decline` turns it down."
	textCallVideo      = "📹 Incoming video call. It can be taken on your phone only; `decline` turns it down."
	textCallMissed     = "📞 Missed call."
	textInvitedInstead = "%s could not be added directly and was sent an invitation instead."
)

// Commands.
const (
	textNotLinked       = "This works with your own WhatsApp account only. Log in with `login whatsapp-qr`."
	textNotAGroup       = "This works in the room of a group only."
	textInviteLink      = "People can join this group by %s. Whoever has the link can come in."
	textNoCall          = "No call rings in this room."
	textCallDeclined    = "The call is turned down."
	textNobodyWaits     = "Nobody waits to join this group."
	textAnswerThem      = "`$cmdprefix approve <number|all>` lets them in, `$cmdprefix refuse <number|all>` turns them away."
	textAnswerUsage     = "Usage: `$cmdprefix approve <number|all>` or `$cmdprefix refuse <number|all>`, with a number from `$cmdprefix requests`."
	textAdmitted        = "%s is let in."
	textRefused         = "%s is turned away."
	textNotAnswered     = "This did not work with %s: %s"
	textApprovalUsage   = "Usage: `$cmdprefix approval <on|off>`: whether those who join by the link wait for an administrator."
	textJoinUsage       = "Usage: `$cmdprefix join <link>`, with a link such as https://chat.whatsapp.com/…"
	textResolveUsage    = "Usage: `$cmdprefix resolve-link <link>`, with a link such as https://chat.whatsapp.com/…"
	textResolved        = "The link leads to the group “%s” with %d members."
	textJoined          = "You have joined the group. Its room: [%s](%s)"
	textJoinedSoon      = "You have joined the group. Its room appears in a moment."
	textNoInvitation    = "There is no invitation in this room. Reply to one with `accept`, or write it in the room where it came."
	textTimerSet        = "New messages in this chat disappear after %s."
	textTimerOff        = "New messages in this chat do not disappear any more."
	textLeaveAsk        = "This takes you out of the group “%s” on WhatsApp. The room stays readable. Write `$cmdprefix leave now` to do it."
	textListUsage       = "Usage: `$cmdprefix list [chats|groups|contacts]`, and then `$cmdprefix open <number>`."
	textListEmpty       = "There is nothing to list yet."
	textListMore        = "…and %d more. `search` finds people by name."
	textOpenUsage       = "Usage: `$cmdprefix open <number>`, with a number from `list`."
	textOpenFirst       = "Say `list` first: the numbers are those of the last list."
	textSyncAsked       = "Asked WhatsApp for how your chats stand; what is new is applied as it comes."
	textHistoryBegins   = "Your phone sends older messages. They appear when they are all here, oldest first."
	textHistoryProgress = "Older messages: %d %% have come from your phone."
	textHistoryComes    = "%d older messages of %d chats are here and go into their rooms now."
	textHistoryDone     = "All older messages are in their rooms."
	textHistoryFailed   = "A part of the older messages could not be fetched (%s). What came is shown."
	textPhoneAway       = "Your phone was last seen by WhatsApp on %s. After about 14 days without it WhatsApp logs this server out: open WhatsApp on your phone once."
	textPhoneBack       = "WhatsApp has seen your phone again."
	textPollEnded       = "The poll has ended."
	textOmitted         = "There was a %s, which this version does not show. See it in WhatsApp on your phone. You are told this once only."
)

// textBan is what is known of a ban beyond that there is one.
func textBan(reason string, until time.Time) string {
	var said []string
	if reason != "" {
		said = append(said, "The reason that WhatsApp gives: "+reason+".")
	}
	if !until.IsZero() {
		said = append(said, "It ends at "+until.UTC().Format("2006-01-02 15:04 MST")+".")
	}
	return strings.Join(said, " ")
}

func textLinkedTopic(n network.Network) string {
	return fmt.Sprintf("Your own %s account, as a linked device. Your server decrypts messages to pass them on.", n.DisplayName())
}

func textLinkedSpace(n network.Network, account string) string {
	if account == "" {
		return n.DisplayName()
	}
	return n.DisplayName() + " " + account
}

func textPlaceholder(kind, text, see string) string {
	said := fmt.Sprintf("Something was sent that this version cannot show: %s.", kind)
	if text != "" {
		said = fmt.Sprintf("%s\n\n(%s; this is what can be read of it.)", text, kind)
	}
	if see != "" {
		said += " See it in " + see + "."
	}
	return said
}

func textInvited(group, expires string) string {
	text := fmt.Sprintf("Invitation to the WhatsApp group “%s”. Write `accept` here to join it.", group)
	if expires != "" {
		text += " It ends on " + expires + "."
	}
	return text
}

func textWantsIn(name, prefix string) string {
	return fmt.Sprintf("%s wants to join this group and waits for an administrator. `%s requests` lists who waits; `%s approve all` lets them in.",
		name, prefix, prefix)
}

func textTimer(timer time.Duration) string {
	if hours := timer / time.Hour; hours > 24 {
		return fmt.Sprintf("%d days", hours/24)
	}
	return "24 hours"
}

// prefixed names a command as it is written in a room.
func prefixed(text, command, prefix string) string {
	return strings.ReplaceAll(text, "`"+command+"`", "`"+prefix+" "+command+"`")
}

func linkedWords(prefix string) portal.LinkedWords {
	return portal.LinkedWords{
		Notices: notices(), Placeholder: textPlaceholder, Forwarded: textForwarded, Live: textLiveLocation, ViewOnce: textViewOnce,
		ViewOnceAway: textViewOnceAway, PollHint: textPollHint,
		Invited: func(group, expires string) string {
			return prefixed(textInvited(group, expires), "accept", prefix)
		},
	}
}
