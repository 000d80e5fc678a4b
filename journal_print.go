package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"causeway/bridge"
	"causeway/database"
	"causeway/delivery"
	"causeway/network"
)

// listRows prints rows as a table, and below it what their codes mean.
func listRows(ctx context.Context, ledger *delivery.Ledger, o journalOptions, out io.Writer) error {
	entries, err := ledger.List(ctx, database.Entries{
		Open: true, Troubled: true, Ended: o.all, Way: database.Way(o.way), Login: o.login, Limit: o.limit,
	})
	if err != nil {
		return err
	}
	if len(entries) == 0 {
		fmt.Fprintln(out, "Nothing waits, and nothing has failed that is still kept.")
		return nil
	}
	now := time.Now()
	table := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(table, "ROW\tWAY\tSTATE\tAGE\tLOGIN\tCHAT OR ROOM\tKIND\tTRIES\tCODE")
	var codes []string
	for _, e := range entries {
		code := codeOf(e)
		if code != "" && !slices.Contains(codes, code) {
			codes = append(codes, code)
		}
		fmt.Fprintf(table, "%d\t%s\t%s\t%s\t%s\t%s\t%s\t%d\t%s\n",
			e.Seq, e.Way, e.State, age(now, e.At), orDash(e.Login), orDash(chatOf(e)), kindOf(e), e.Attempts, orDash(code))
	}
	if err = table.Flush(); err != nil {
		return err
	}
	slices.Sort(codes)
	for i, code := range codes {
		if i == 0 {
			fmt.Fprintln(out)
		}
		fmt.Fprintf(out, "%s  %s\n", code, sentenceOf(code, network.WhatsApp))
	}
	if len(entries) == o.limit {
		fmt.Fprintf(out, "\nOnly the newest %d rows are shown; --limit shows more.\n", o.limit)
	}
	return nil
}

// showRow prints all that is known of a row.
func showRow(ctx context.Context, ledger *delivery.Ledger, e database.Entry, content bool, out io.Writer) error {
	now := time.Now()
	table := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(table, "%s:\t%s\n", name, value)
		}
	}
	line("Row", fmt.Sprint(e.Seq))
	line("Way", map[database.Way]string{
		database.WayIn: "from the network to Matrix", database.WayOut: "from Matrix to the network", database.WayMatrix: "from the homeserver to the bridge",
	}[e.Way])
	line("State", e.State+": "+stateOf(e))
	line("Arrived", moment(now, e.At))
	line("Ended", moment(now, e.DoneAt))
	line("Delivered", moment(now, e.DeliveredAt))
	line("Read", moment(now, e.ReadAt))
	line("Login", e.Login)
	line("Chat", e.Chat)
	line("Room", e.Room)
	line("Event", e.Event)
	line("Kind", kindOf(e))
	line("Tries", fmt.Sprint(e.Attempts))
	if e.Deaths > 0 {
		line("Deaths", fmt.Sprintf("%d (the program ended while it was at this row)", e.Deaths))
	}
	if code := codeOf(e); code != "" {
		line("Reason", code+" "+sentenceOf(code, networkOf(e)))
	}
	line("Content", keptOf(e))
	line("To do", adviceOf(e))
	if err := table.Flush(); err != nil {
		return err
	}
	if content && e.Kept {
		text, err := ledger.Content(ctx, e)
		if err != nil {
			return err
		}
		fmt.Fprintln(out, text)
	}
	fmt.Fprintln(out)
	return nil
}

// stateOf is a row's state in words.
func stateOf(e database.Entry) string {
	switch e.State {
	case "new", "ready":
		return "on its way"
	case "retry":
		return "on its way; the last try has failed"
	case "unknown":
		return "on its way; the network did not say whether it has it, so it is sent again as the same message"
	case "held":
		return "held back until the message comes that it is about"
	case "quarantined":
		return "set aside"
	case "failed":
		return "not sent"
	case "sent":
		return "the network has it"
	}
	if e.Class == "placeholder" {
		return "a placeholder stands in the room for it"
	}
	return "ended"
}

// codeOf is a row's reason as a code, empty if there is none.
func codeOf(e database.Entry) string {
	if e.Class == "" {
		return ""
	}
	return bridge.Explain(e.Class).Code()
}

// sentenceOf is a code in words, without the code.
func sentenceOf(code string, n network.Network) string {
	return strings.TrimSuffix(bridge.Explain(code).Sentence(n), " ("+code+")")
}

func keptOf(e database.Entry) string {
	if e.Kept {
		return "kept (--content shows it)"
	}
	return "gone"
}

// adviceOf is what an operator can do about a row.
func adviceOf(e database.Entry) string {
	switch {
	case e.DoneAt == 0 && e.State == "held":
		return fmt.Sprintf("nothing; or causeway journal retry %d, to have it tried without waiting", e.Seq)
	case e.DoneAt == 0:
		return fmt.Sprintf("nothing: it is tried until it works; or stop the bridge and causeway journal drop %d", e.Seq)
	case e.Kept:
		return fmt.Sprintf("causeway journal retry %d, or causeway journal drop %d", e.Seq, e.Seq)
	}
	return ""
}

// networkOf is the network that a row belongs to, as far as it says.
func networkOf(e database.Entry) network.Network {
	if address, err := network.ParseAddress(e.Login); err == nil {
		return address.Network
	}
	return network.WhatsApp
}

func chatOf(e database.Entry) string {
	if e.Chat != "" {
		return e.Chat
	}
	return e.Room
}

// kindOf is what a row is about; events of the homeserver are not opened to say.
func kindOf(e database.Entry) string {
	if e.Way == database.WayMatrix {
		return "Matrix event"
	}
	return e.Kind
}

func moment(now time.Time, ms int64) string {
	if ms == 0 {
		return ""
	}
	return fmt.Sprintf("%s (%s ago)", time.UnixMilli(ms).UTC().Format("2006-01-02 15:04:05 UTC"), age(now, ms))
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}
