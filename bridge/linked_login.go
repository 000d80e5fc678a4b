package bridge

import (
	"context"
	"fmt"
	"strings"

	"maunium.net/go/mautrix/bridgev2"
	bridgedb "maunium.net/go/mautrix/bridgev2/database"
	"maunium.net/go/mautrix/bridgev2/networkid"
	"maunium.net/go/mautrix/bridgev2/status"

	"causeway/network"
	"causeway/puppet"
)

const (
	stepLinkQR       = "causeway.linked.qr"
	stepLinkPhone    = "causeway.linked.phone"
	stepLinkCode     = "causeway.linked.code"
	stepLinkScanned  = "causeway.linked.scanned"
	stepLinkComplete = "causeway.linked.complete"
	fieldPhone       = "phone"
)

// linkFlow is one user's way to link their own account: a warning, a code, and the phone's yes.
type linkFlow struct {
	linker network.Linker
	// byCode: the user types a code on the phone instead of scanning one.
	byCode bool
	// again is the login that is to be linked anew, empty for a new one.
	again networkid.UserLoginID
	// establish makes a login of a linked account; undo takes a link off again that must not be.
	establish func(ctx context.Context, account network.Person) (*bridgev2.UserLogin, error)
	undo      func(ctx context.Context, account network.Person)

	linking network.Linking
	network network.Network
}

var (
	_ bridgev2.LoginProcessDisplayAndWait = (*linkFlow)(nil)
	_ bridgev2.LoginProcessUserInput      = (*linkFlow)(nil)
	_ bridgev2.LoginProcessWithOverride   = (*linkFlow)(nil)
)

// beginLinked begins the way to link one's own account.
func beginLinked(byCode bool) func(c *Connector, user *bridgev2.User, p product) (bridgev2.LoginProcess, error) {
	return func(c *Connector, user *bridgev2.User, p product) (bridgev2.LoginProcess, error) {
		if !c.config.Linked.Enabled {
			return nil, replyOf(errLinkedOff, p.network)
		}
		flow := &linkFlow{
			byCode: byCode, network: p.network,
			establish: func(ctx context.Context, account network.Person) (*bridgev2.UserLogin, error) {
				return c.establishLinked(ctx, user, account)
			},
			undo: func(ctx context.Context, account network.Person) { c.unlinkStray(ctx, account.Address) },
		}
		var err error
		flow.linker, err = p.linker(c, func(ctx context.Context, account network.Address) error {
			return c.admits(ctx, user.MXID, flow.again, puppet.LoginID(account))
		})
		if err != nil {
			return nil, replyOf(err, p.network)
		}
		return flow, nil
	}
}

// Start says what the user is about to do, and asks for what is needed.
func (f *linkFlow) Start(ctx context.Context) (*bridgev2.LoginStep, error) {
	if !f.byCode {
		return f.begin(ctx, func() (network.Linking, error) { return f.linker.LinkByQR(ctx) })
	}
	return &bridgev2.LoginStep{
		Type: bridgev2.LoginStepTypeUserInput, StepID: stepLinkPhone, Instructions: textLinkWarning,
		UserInputParams: &bridgev2.LoginUserInputParams{Fields: []bridgev2.LoginInputDataField{{
			Type: bridgev2.LoginInputFieldTypePhoneNumber, ID: fieldPhone, Name: textLinkPhone, Description: textLinkPhoneHint,
			Validate: validPhone,
		}}},
	}, nil
}

// StartWithOverride implements [bridgev2.LoginProcessWithOverride]: an account is linked again, and its rooms go on.
func (f *linkFlow) StartWithOverride(ctx context.Context, old *bridgev2.UserLogin) (*bridgev2.LoginStep, error) {
	if address, err := puppet.LoginAddress(old.ID); err == nil && address.Kind != network.KindInterop {
		f.again = old.ID
	}
	return f.Start(ctx)
}

func validPhone(text string) (string, error) {
	number, err := bridgev2.CleanPhoneNumber(strings.TrimSpace(text))
	if err != nil || len(number) < len("+1234567") || len(number) > len("+123456789012345") {
		return "", sentence(textLinkPhoneHint)
	}
	return number, nil
}

// SubmitUserInput takes the phone number of the account and shows the code for it.
func (f *linkFlow) SubmitUserInput(ctx context.Context, input map[string]string) (*bridgev2.LoginStep, error) {
	number, err := validPhone(input[fieldPhone])
	if err != nil {
		return nil, badInput(err)
	}
	return f.begin(ctx, func() (network.Linking, error) { return f.linker.LinkByCode(ctx, number) })
}

func (f *linkFlow) begin(ctx context.Context, link func() (network.Linking, error)) (*bridgev2.LoginStep, error) {
	linking, err := link()
	if err != nil {
		return nil, replyOf(err, f.network)
	}
	f.linking = linking
	step, err := f.Wait(ctx)
	if err == nil && step.StepID == stepLinkQR {
		step.Instructions = textLinkWarning + "\n\n" + textLinkQR
	}
	return step, err
}

// Wait waits for the next step of the phone: another code, or its yes.
func (f *linkFlow) Wait(ctx context.Context) (*bridgev2.LoginStep, error) {
	for {
		step, err := f.linking.Next(ctx)
		if err != nil {
			f.Cancel()
			return nil, replyOf(err, f.network)
		}
		if step.Kind == network.LinkDone {
			return f.done(ctx, step.Account)
		}
		if shown := showLink(step); shown != nil {
			return shown, nil
		}
	}
}

// showLink is a step of linking as the user sees it, nil if there is nothing to see.
func showLink(step network.LinkStep) *bridgev2.LoginStep {
	shown := &bridgev2.LoginStep{Type: bridgev2.LoginStepTypeDisplayAndWait}
	switch step.Kind {
	case network.LinkQR:
		shown.StepID = stepLinkQR
		shown.DisplayAndWaitParams = &bridgev2.LoginDisplayAndWaitParams{Type: bridgev2.LoginDisplayTypeQR, Data: step.Code}
	case network.LinkCode:
		shown.StepID, shown.Instructions = stepLinkCode, textLinkCode
		shown.DisplayAndWaitParams = &bridgev2.LoginDisplayAndWaitParams{Type: bridgev2.LoginDisplayTypeCode, Data: step.Code}
	case network.LinkScanned:
		shown.StepID, shown.Instructions = stepLinkScanned, textLinkScanned
		shown.DisplayAndWaitParams = &bridgev2.LoginDisplayAndWaitParams{Type: bridgev2.LoginDisplayTypeNothing}
	case network.LinkMultidevice:
		shown.StepID, shown.Instructions = stepLinkScanned, textLinkPermission
		shown.DisplayAndWaitParams = &bridgev2.LoginDisplayAndWaitParams{Type: bridgev2.LoginDisplayTypeNothing}
	default:
		return nil
	}
	return shown
}

func (f *linkFlow) done(ctx context.Context, account network.Person) (*bridgev2.LoginStep, error) {
	// the phone has agreed: what is linked must not be lost because the user's client has gone away
	ctx = context.WithoutCancel(ctx)
	login, err := f.establish(ctx, account)
	if err != nil {
		f.undo(ctx, account)
		return nil, replyOf(err, f.network)
	}
	return &bridgev2.LoginStep{
		Type: bridgev2.LoginStepTypeComplete, StepID: stepLinkComplete,
		Instructions:   strings.ReplaceAll(textLinkedNow, "{account}", login.RemoteName),
		CompleteParams: &bridgev2.LoginCompleteParams{UserLoginID: login.ID, UserLogin: login},
	}, nil
}

// Cancel implements [bridgev2.LoginProcess].
func (f *linkFlow) Cancel() {
	if f.linking != nil {
		f.linking.Cancel()
	}
}

// establishLinked makes a connected login of an account that was just linked. A login that the same user had of it before
// goes on, with its rooms.
func (c *Connector) establishLinked(ctx context.Context, user *bridgev2.User, account network.Person) (*bridgev2.UserLogin, error) {
	id := puppet.LoginID(account.Address)
	old, err := c.bridge.GetExistingUserLoginByID(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("failed to look for an older login: %w", err)
	}
	metadata := &LoginMetadata{}
	if old != nil && old.UserMXID == user.MXID {
		old.Client.Disconnect()
		if known, ok := old.Metadata.(*LoginMetadata); ok {
			*metadata = *known
		}
	}
	if err = c.takeOver(ctx, id, old, user); err != nil {
		return nil, err
	}
	metadata.Gathering = c.config.Linked.History.Enabled
	name, number := puppet.Clean(account.Name), ""
	if account.Alias.Kind == network.KindPhone {
		number = "+" + account.Alias.User
	}
	login, err := user.NewLogin(ctx, &bridgedb.UserLogin{
		ID:            id,
		RemoteName:    fmt.Sprintf("%s (%s)", firstText(number, name, account.Address.User), account.Address.Network.DisplayName()),
		RemoteProfile: status.RemoteProfile{Phone: number, Name: name},
		Metadata:      metadata,
	}, nil)
	if err != nil {
		return nil, fmt.Errorf("failed to store the login: %w", err)
	}
	err = c.learn(ctx, login, puppet.Profile{Address: account.Address, Phone: account.Alias, Name: name})
	if err != nil {
		login.Log.Err(err).Msg("Failed to remember the name of a login's user")
	}
	login.Client.Connect(login.Log.WithContext(c.bridge.BackgroundCtx))
	return login, nil
}

func firstText(texts ...string) string {
	for _, text := range texts {
		if text != "" {
			return text
		}
	}
	return ""
}
