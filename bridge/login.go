package bridge

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"go.mau.fi/util/random"

	"maunium.net/go/mautrix/bridgev2"
	bridgedb "maunium.net/go/mautrix/bridgev2/database"
	"maunium.net/go/mautrix/bridgev2/status"
	"maunium.net/go/mautrix/id"

	"causeway/interop"
	"causeway/network"
	"causeway/puppet"
	"causeway/whatsapp/linked"
	"causeway/wire"
)

const (
	stepTerms    = "causeway.interop.terms"
	stepComplete = "causeway.interop.complete"
	fieldAgree   = "agree"
	fieldCountry = "country"
	answerYes    = "yes"
	answerNo     = "no"

	// enlistTimeout bounds the whole of an enlistment, the network's decision included.
	enlistTimeout = 2 * time.Minute
)

// Refusals of the login flow itself.
var (
	errLoggedInAlready = errors.New("the user has a login for this network")
	errNotAgreed       = errors.New("the user did not agree to the terms")
	errNoSuchFlow      = errors.New("no such login flow")
)

// product is an account kind on a network: a login flow, and how its logins are opened. Flows of one
// account kind share all but their first step.
type product struct {
	flow    string
	network network.Network
	// kind is that of the login's own address.
	kind network.Kind
	open opener
	// newID makes a message id of the network's shape, the same for the same seed.
	newID func(seed []byte) string
	// offered says whether the configuration lets users log in this way.
	offered func(config *Config) bool
	// about tells users in one line what the flow is.
	about string
	// begin makes the login process; its refusals are sentences for the user.
	begin func(c *Connector, user *bridgev2.User, p product) (bridgev2.LoginProcess, error)
	// linker links accounts of this kind, and forget erases the keys of one; nil unless it is linked.
	linker func(c *Connector, admit linked.Admission) (network.Linker, error)
	forget func(ctx context.Context, c *Connector, self network.Address) error
}

// linked says whether the account kind is a companion device of the user's own account.
func (p product) linked() bool { return p.kind != network.KindInterop }

// LoginMetadata is what we remember of a login beside bridgev2's columns.
type LoginMetadata struct {
	// ChatURL is where the enlistment said to connect.
	ChatURL string `json:"chat_url,omitempty"`
	// Blocked are the addresses of people whom the user wants to hear nothing of.
	Blocked []string `json:"blocked,omitempty"`
	// Verified has the safety numbers that the user has compared, by the people's addresses.
	Verified map[string]string `json:"verified,omitempty"`
	// Gathering says that older messages are still coming from the phone: everything waits to be put in order.
	Gathering bool `json:"gathering,omitempty"`
	// Told names what the user was told of once and need not be told of again.
	Told []string `json:"told,omitempty"`
}

// registrar is what a login flow needs of [interop.Provider].
type registrar interface {
	Offer(ctx context.Context, user string, n network.Network) (interop.Terms, error)
	Consent(ctx context.Context, user string, n network.Network, country string) (interop.Consent, error)
	Enlist(ctx context.Context, applicant interop.Applicant) (interop.Enlistment, error)
	RegionByPage() bool
	RegionLink(consent interop.Consent) (link string, inside <-chan bool)
}

// GetLoginFlows lists the flows that can succeed: without an agreement, those of linked accounts only.
func (c *Connector) GetLoginFlows() []bridgev2.LoginFlow {
	var flows []bridgev2.LoginFlow
	for _, p := range c.products {
		if p.offered(&c.config) {
			flows = append(flows, bridgev2.LoginFlow{ID: p.flow, Name: p.network.DisplayName(), Description: p.about})
		}
	}
	return flows
}

// CreateLogin implements [bridgev2.NetworkConnector]. Its refusals are sentences for the user.
func (c *Connector) CreateLogin(_ context.Context, user *bridgev2.User, flowID string) (bridgev2.LoginProcess, error) {
	i := slices.IndexFunc(c.products, func(p product) bool { return p.flow == flowID })
	if i < 0 {
		return nil, replyOf(errNoSuchFlow, "")
	}
	return c.products[i].begin(c, user, c.products[i])
}

// beginInterop begins the way into third-party chats, unless it is known beforehand to lead nowhere.
func beginInterop(c *Connector, user *bridgev2.User, p product) (bridgev2.LoginProcess, error) {
	switch {
	case !c.config.Interop.Offers(p.network):
		return nil, replyOf(interop.ErrIncomplete, p.network)
	case c.provider == nil:
		return nil, replyOf(interop.ErrNotStarted, p.network)
	case hasLogin(user.GetUserLogins(), p.network):
		return c.beginAgain(user, p)
	}
	return &loginFlow{registrar: c.provider, product: p, user: user.MXID, establish: func(ctx context.Context, a application) (*bridgev2.UserLogin, error) {
		return c.establish(ctx, user, a)
	}}, nil
}

// hasLogin says whether one of the logins is a standing one for the network; an account that has ended is in nobody's way.
func hasLogin(logins []*bridgev2.UserLogin, n network.Network) bool {
	return slices.ContainsFunc(logins, func(login *bridgev2.UserLogin) bool {
		return isFor(login, n) && login.Client.IsLoggedIn()
	})
}

func isFor(login *bridgev2.UserLogin, n network.Network) bool {
	address, err := puppet.LoginAddress(login.ID)
	return err == nil && address.Network == n && address.Kind == network.KindInterop
}

// application is a user who has agreed and can be enlisted.
type application struct {
	product product
	consent interop.Consent
}

// loginFlow is one user's way into third-party chats: the terms, the answer, the region page where there is one, the enlistment.
type loginFlow struct {
	registrar registrar
	product   product
	user      id.UserID
	establish func(ctx context.Context, a application) (*bridgev2.UserLogin, error)
	region    *regionWait
}

var (
	_ bridgev2.LoginProcessUserInput      = (*loginFlow)(nil)
	_ bridgev2.LoginProcessDisplayAndWait = (*loginFlow)(nil)
)

// Start shows the terms, and records that they were shown.
func (f *loginFlow) Start(ctx context.Context) (*bridgev2.LoginStep, error) {
	terms, err := f.registrar.Offer(ctx, f.user.String(), f.product.network)
	if err != nil {
		return nil, replyOf(err, f.product.network)
	}
	return &bridgev2.LoginStep{
		Type:         bridgev2.LoginStepTypeUserInput,
		StepID:       stepTerms,
		Instructions: terms.Text,
		UserInputParams: &bridgev2.LoginUserInputParams{Fields: []bridgev2.LoginInputDataField{{
			Type: bridgev2.LoginInputFieldTypeSelect, ID: fieldAgree, Name: textFieldAgree,
			Options: []string{answerYes, answerNo}, Validate: validAnswer,
		}, {
			Type: bridgev2.LoginInputFieldTypeUsername, ID: fieldCountry, Name: textFieldCountry,
			Description: textCountryHint, Pattern: "^[A-Za-z]{2}$", Validate: validCountry,
		}}},
	}, nil
}

func validAnswer(text string) (string, error) {
	switch answer := strings.ToLower(strings.TrimSpace(text)); answer {
	case answerYes, answerNo:
		return answer, nil
	default:
		return "", sentence(textBadAnswer)
	}
}

// badInput is the answer to a program that sends what the bot would not have let a person say.
func badInput(err error) error {
	return bridgev2.WrapRespErrManual(err, "CAUSEWAY.BAD_INPUT", http.StatusBadRequest)
}

func validCountry(text string) (string, error) {
	country := strings.ToUpper(strings.TrimSpace(text))
	if !interop.InEEA(country) {
		return "", sentence(fmt.Sprintf(textBadCountry, strings.Join(interop.Countries(), ", ")))
	}
	return country, nil
}

// SubmitUserInput takes the answers. Only a yes is recorded as consent; then the user is enlisted and connected, after
// they have confirmed where they are if that is asked for.
func (f *loginFlow) SubmitUserInput(ctx context.Context, input map[string]string) (*bridgev2.LoginStep, error) {
	if answer, err := validAnswer(input[fieldAgree]); err != nil || answer != answerYes {
		return nil, replyOf(errNotAgreed, f.product.network)
	}
	country, err := validCountry(input[fieldCountry])
	if err != nil {
		return nil, badInput(err)
	}
	consent, err := f.registrar.Consent(ctx, f.user.String(), f.product.network, country)
	if err != nil {
		return nil, replyOf(err, f.product.network)
	}
	if f.registrar.RegionByPage() {
		return f.askRegion(consent), nil
	}
	return f.enlist(ctx, consent)
}

// enlist makes a login of a user who may have one.
func (f *loginFlow) enlist(ctx context.Context, consent interop.Consent) (*bridgev2.LoginStep, error) {
	login, err := f.establish(ctx, application{product: f.product, consent: consent})
	if err != nil {
		return nil, replyOf(err, f.product.network)
	}
	return &bridgev2.LoginStep{
		Type:           bridgev2.LoginStepTypeComplete,
		StepID:         stepComplete,
		Instructions:   textLoginDone(f.product.network, login.RemoteProfile.Username, login.RemoteProfile.Name),
		CompleteParams: &bridgev2.LoginCompleteParams{UserLoginID: login.ID, UserLogin: login},
	}, nil
}

// Cancel implements [bridgev2.LoginProcess]; an offer that nobody took stays in the ledger as such.
func (f *loginFlow) Cancel() {}

// establish makes keys, enlists the user with them, and turns what comes back into a connected login.
func (c *Connector) establish(ctx context.Context, user *bridgev2.User, a application) (*bridgev2.UserLogin, error) {
	ctx, cancel := context.WithTimeout(ctx, enlistTimeout)
	defer cancel()
	// The account's number is known only after enlisting, which needs the keys: they wait under a name of their own.
	waiting := "enlisting-" + random.String(16)
	keys, err := wire.CreateKeys(ctx, c.db.SignalStore(waiting))
	if err != nil {
		return nil, fmt.Errorf("failed to make keys: %w", err)
	}
	name := c.profileName(ctx, user)
	enlistment, err := c.provider.Enlist(ctx, interop.Applicant{
		User: user.MXID.String(), Network: a.product.network, DisplayName: name,
		Keys: interop.PublicKeys(keys.Public()), ConsentID: a.consent.ID,
		Sign: func(message []byte) ([64]byte, error) { return keys.Sign(message), nil },
	})
	if err == nil && !enlistment.OtherKeys {
		err = c.db.RenameSignalStore(ctx, waiting, enlistment.Address.String())
	}
	if err != nil || enlistment.OtherKeys {
		err = errors.Join(err, c.db.DeleteSignalStore(context.WithoutCancel(ctx), waiting))
	}
	if err != nil {
		return nil, fmt.Errorf("failed to enlist: %w", err)
	}
	ended := c.endedLogins(user, a.product.network)
	login, err := user.NewLogin(ctx, &bridgedb.UserLogin{
		ID:            puppet.LoginID(enlistment.Address),
		RemoteName:    fmt.Sprintf("%s (%s)", enlistment.Identifier, a.product.network.DisplayName()),
		RemoteProfile: status.RemoteProfile{Username: enlistment.Identifier, Name: name},
		Metadata:      &LoginMetadata{ChatURL: enlistment.ChatURL},
	}, nil)
	if err != nil {
		return nil, fmt.Errorf("failed to store the login: %w", err)
	}
	for _, old := range ended {
		if old.ID != login.ID {
			old.Delete(ctx, status.BridgeState{StateEvent: status.StateLoggedOut}, bridgev2.DeleteOpts{})
		}
	}
	login.Client.Connect(login.Log.WithContext(c.bridge.BackgroundCtx))
	c.active(user.MXID)
	return login, nil
}

// endedLogins are the logins that a new one takes the place of, disconnected.
func (c *Connector) endedLogins(user *bridgev2.User, n network.Network) []*bridgev2.UserLogin {
	var ended []*bridgev2.UserLogin
	for _, login := range user.GetUserLogins() {
		if isFor(login, n) {
			login.Client.Disconnect()
			ended = append(ended, login)
		}
	}
	return ended
}

// profileName is the user's own name as the chat with the bot shows it, or else the localpart.
func (c *Connector) profileName(ctx context.Context, user *bridgev2.User) string {
	if user.ManagementRoom != "" {
		member, err := c.bridge.Matrix.GetMemberInfo(ctx, user.ManagementRoom, user.MXID)
		if err == nil && member != nil {
			if name := puppet.Clean(member.Displayname); name != "" {
				return name
			}
		}
	}
	return user.MXID.Localpart()
}
