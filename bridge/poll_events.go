package bridge

import (
	"context"
	"encoding/json"

	"github.com/rs/zerolog"

	"maunium.net/go/mautrix/bridgev2/matrix/mxmain"
	"maunium.net/go/mautrix/event"

	"causeway/portal"
)

// translatePolls has bridgev2 hear of polls by their stable names too, and of their ends.
func translatePolls(main *mxmain.BridgeMain) {
	processor := main.Matrix.EventProcessor
	pass := func(ctx context.Context, evt *event.Event, as event.Type, content json.RawMessage, err error) {
		translated := *evt
		translated.Type, translated.Content = as, event.Content{VeryRaw: content}
		if err == nil {
			err = json.Unmarshal(content, &translated.Content.Raw)
		}
		if err == nil {
			err = translated.Content.ParseRaw(as)
		}
		if err != nil {
			zerolog.Ctx(ctx).Warn().Err(err).Msg("Passed over a poll's event that cannot be read")
			return
		}
		processor.Dispatch(ctx, &translated)
	}
	handle := func(ctx context.Context, evt *event.Event) {
		as, content, err := portal.UnstablePoll(evt.Type.Type, evt.Content.VeryRaw)
		pass(ctx, evt, as, content, err)
	}
	end := func(ctx context.Context, evt *event.Event) {
		content, err := portal.PollEnd(evt.Content.VeryRaw, textPollEnded)
		pass(ctx, evt, event.EventMessage, content, err)
	}
	// the library guesses the class of a name that it does not know, and inside an encrypted event sets it
	for _, class := range []event.TypeClass{event.UnknownEventType, event.MessageEventType} {
		processor.On(event.Type{Type: portal.StablePollStart, Class: class}, handle)
		processor.On(event.Type{Type: portal.StablePollResponse, Class: class}, handle)
		processor.On(event.Type{Type: portal.StablePollEnd, Class: class}, end)
	}
	processor.On(event.EventUnstablePollEnd, end)
}
