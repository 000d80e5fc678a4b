package bridge

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"maunium.net/go/mautrix/bridgev2"
	bridgedb "maunium.net/go/mautrix/bridgev2/database"
	"maunium.net/go/mautrix/bridgev2/status"

	"causeway/interop"
	"causeway/network"
)

// ledger is a registrar that remembers what it was asked.
type ledger struct {
	offered, agreed []string
	refusal         error
	// decided is where the region page tells its decisions, nil if there is none.
	decided chan bool
}

func (l *ledger) Offer(_ context.Context, user string, n network.Network) (interop.Terms, error) {
	l.offered = append(l.offered, user+" "+string(n))
	return interop.Terms{Version: "1", Text: "the terms"}, l.refusal
}

func (l *ledger) Consent(_ context.Context, user string, n network.Network, country string) (interop.Consent, error) {
	l.agreed = append(l.agreed, user+" "+string(n)+" "+country)
	return interop.Consent{ID: "c_1", User: user, Network: n, Country: country}, l.refusal
}

func (l *ledger) Enlist(context.Context, interop.Applicant) (interop.Enlistment, error) {
	return interop.Enlistment{}, fmt.Errorf("enlisting is the connector's")
}

func (l *ledger) RegionByPage() bool { return l.decided != nil }

func (l *ledger) RegionLink(interop.Consent) (string, <-chan bool) {
	return "https://bridge.example.eu/interop/region/secret", l.decided
}

func newFlow(l *ledger) (*loginFlow, *[]application) {
	var established []application
	return &loginFlow{
		registrar: l, product: product{flow: "whatsapp-interop", network: network.WhatsApp}, user: "@alice:localhost",
		establish: func(_ context.Context, a application) (*bridgev2.UserLogin, error) {
			established = append(established, a)
			return &bridgev2.UserLogin{UserLogin: &bridgedb.UserLogin{
				ID: "whatsapp-interop-12-105012705411308", RemoteProfile: status.RemoteProfile{Username: "alice@localhost", Name: "Alice"},
			}}, nil
		},
	}, &established
}

func TestLoginShowsTermsBeforeAnythingElse(t *testing.T) {
	l := &ledger{}
	flow, established := newFlow(l)
	step, err := flow.Start(t.Context())
	require.NoError(t, err)
	require.Equal(t, "the terms", step.Instructions)
	require.Equal(t, bridgev2.LoginStepTypeUserInput, step.Type)
	require.Len(t, step.UserInputParams.Fields, 2)
	require.Equal(t, []string{"@alice:localhost whatsapp"}, l.offered)
	require.Empty(t, l.agreed)
	require.Empty(t, *established)

	step, err = flow.SubmitUserInput(t.Context(), map[string]string{fieldAgree: "yes", fieldCountry: "DE"})
	require.NoError(t, err)
	require.Equal(t, bridgev2.LoginStepTypeComplete, step.Type)
	require.Contains(t, step.Instructions, "alice@localhost")
	require.Equal(t, []string{"@alice:localhost whatsapp DE"}, l.agreed)
	require.Equal(t, "c_1", (*established)[0].consent.ID)
}

func TestLoginWithoutYesRecordsNothing(t *testing.T) {
	for _, answer := range []string{"no", "", "maybe", "yes please"} {
		l := &ledger{}
		flow, established := newFlow(l)
		_, err := flow.SubmitUserInput(t.Context(), map[string]string{fieldAgree: answer, fieldCountry: "DE"})
		require.ErrorContains(t, err, "CW-1509", answer)
		require.Empty(t, l.agreed, answer)
		require.Empty(t, *established, answer)
	}
}

func TestLoginRefusalsAreSentences(t *testing.T) {
	for _, c := range []struct {
		err  error
		code string
	}{
		{interop.ErrUserNotAllowed, "CW-1503"}, {interop.ErrStopped, "CW-1502"}, {network.ErrRegion, "CW-1205"},
	} {
		flow, established := newFlow(&ledger{refusal: fmt.Errorf("failed to offer: %w", c.err)})
		_, err := flow.Start(t.Context())
		require.ErrorContains(t, err, c.code)
		_, err = flow.SubmitUserInput(t.Context(), map[string]string{fieldAgree: "yes", fieldCountry: "DE"})
		require.ErrorContains(t, err, c.code)
		require.Empty(t, *established)
	}
}

func TestAnswersAreChecked(t *testing.T) {
	country, err := validCountry(" de ")
	require.NoError(t, err)
	require.Equal(t, "DE", country)
	for _, wrong := range []string{"US", "Germany", "", "D", "GB"} {
		_, err = validCountry(wrong)
		require.ErrorContains(t, err, "DE", wrong)
	}
	answer, err := validAnswer(" YES ")
	require.NoError(t, err)
	require.Equal(t, answerYes, answer)
	_, err = validAnswer("ok")
	require.Error(t, err)
}
