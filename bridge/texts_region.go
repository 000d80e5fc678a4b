package bridge

import (
	"fmt"
	"time"

	"causeway/interop"
	"causeway/network"
)

// What is said about where users are, and about chats that live only while they are active. Beside texts.go, as most servers
// never say any of it.
const (
	textOutside      = "The region page found you outside of the European Economic Area, where third-party chats do not exist. Your third-party account on {network} is suspended; nothing is lost. When you are back, write `confirm-region` to the bridge bot and open the link that it gives you."
	textUnconfirmed  = "Your third-party account on {network} is suspended, as you have not confirmed that you are in the European Economic Area. Write `confirm-region` to the bridge bot and open the link that it gives you: everything goes on at once."
	textRegionLate   = "The link was not used in time, so nothing was set up. Use `login` to start over."
	textRegionNoNeed = "Nobody has to confirm here where they are."
	textNoAddress    = "Nothing is connected to {network} for you, as it is not known where your client is, or not any more. Write `confirm-region` to the bridge bot and open the link that it gives you."
	textForgotten    = "The bridge stopped before it had sent this, and keeps nothing of messages. It could not be read again: send it again. It may have arrived."
	textResting      = "not connected while you are away."
	textRegionNobody = "You have no third-party account whose region could be confirmed. Use `login` to get one."
)

// regionWords are the texts of the region page; standsIn is whether it is asked for the address too.
func regionWords(standsIn bool) interop.RegionWords {
	words := interop.RegionWords{
		Title:     "Where are you?",
		Ask:       "Third-party chats on {network} are for people in the European Economic Area. With the button you confirm that you, {user}, are there now. If this is not your account, close this page: somebody else may want you to confirm something for them.",
		Kept:      "This server sees which country your internet connection comes from, and keeps only whether that is in the Area, and when you confirmed it. Your country and your address are not stored.",
		Button:    "I am here",
		Inside:    "Thank you. You are in the European Economic Area, and your chats on {network} go on. You can close this page.",
		Outside:   "Your internet connection comes from outside of the European Economic Area, so your chats on {network} are suspended. Nothing is lost. When you are back, write confirm-region to the bridge bot in Matrix for a new link.",
		Unknown:   "It cannot be told which country your internet connection comes from. Turn off VPN, Tor or a private relay if you use one, and try again.",
		NoAddress: "The public address of your internet connection cannot be told, and without it no connection can be made for you. Leave the local network or VPN through which you reach this server, and try again.",
		Gone:      "This link does not work any more: it was used, or it is older than five minutes. Write confirm-region to the bridge bot in Matrix for a new one, or log in again.",
		Untrusted: "This page works only at this server's public address. Open the link as you got it.",
	}
	if standsIn {
		words.Kept = "This server sees which country your internet connection comes from, and keeps only whether that is in the Area, and when you confirmed it. While you are active it tells {network} your internet address, as {network} wants to know for whom it is connected; the address is in this server's memory only, and forgotten after a while."
	}
	return words
}

func textRegionLogin(link string) string {
	return fmt.Sprintf("Now confirm where you are: open %s within five minutes, without a VPN, and press the button. The page says what becomes of what it sees.", link)
}

func textRegionLink(n network.Network, link string) string {
	return fmt.Sprintf("%s: open %s within five minutes, without a VPN, and press the button.", n.DisplayName(), link)
}

func textRegionDue(n network.Network, until time.Time) string {
	return fmt.Sprintf("Third-party chats on %s are for people in the European Economic Area. Please confirm until %s that you are still there: write `confirm-region`, and open the link that I give you. After that time the account is suspended until you do.",
		n.DisplayName(), told(until))
}

func textAddressWanted(n network.Network, link string) string {
	return fmt.Sprintf("Nothing is connected to %s for you: it wants the address of your client, and that is not known, or not any more. Open %s within five minutes, without a VPN, and press the button. The address is passed on to %s, and kept in memory only.",
		n.DisplayName(), link, n.DisplayName())
}

func textWaitsForYou(n network.Network, waiting int) string {
	if waiting == 1 {
		return fmt.Sprintf("A message waits for you on %s. It comes now that you are here; if it does not, write anything.", n.DisplayName())
	}
	return fmt.Sprintf("%d messages wait for you on %s. They come now that you are here; if they do not, write anything.", waiting, n.DisplayName())
}

// textStandsIn follows the first notice of a room in mode proxy.
const textStandsIn = "The bridge is connected only while you are active here, tells the network your internet address, and keeps nothing of messages: one that is under way when the bridge stops is asked for again, and where that fails this room says so."
