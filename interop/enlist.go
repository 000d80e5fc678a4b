package interop

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"causeway/database"
	"causeway/network"
)

// Status is how an enlistment stands.
type Status string

// The states of an enlistment.
const (
	// Pending: the network has not decided yet.
	Pending Status = "pending"
	// Active: the user can connect.
	Active Status = "active"
	// Suspended: the network, or we, stopped it for a while.
	Suspended Status = "suspended"
	// Withdrawing: it ended for us, but the network has not confirmed it yet.
	Withdrawing Status = "withdrawing"
	// Withdrawn: it ended.
	Withdrawn Status = "withdrawn"
)

// PublicKeys are the public halves of an interop login's keys; wire.PublicKeys converts to it.
type PublicKeys struct {
	RegistrationID        uint32
	Identity, Noise       [32]byte
	SignedPrekeyID        uint32
	SignedPrekey          [32]byte
	SignedPrekeySignature [64]byte
}

// Applicant is a user who is to be made known to a network.
type Applicant struct {
	// User is a Matrix user id.
	User    string
	Network network.Network
	// Identifier is what people find the user by; empty means what [Provider.Identifier] makes of the user id.
	// Anything else is refused, as we vouch for it.
	Identifier string
	// DisplayName is shown to the other side; cut to 64 characters, and the localpart if empty.
	DisplayName string
	Keys        PublicKeys
	// Sign signs with the identity key.
	Sign func(message []byte) ([64]byte, error)
	// ConsentID is the user's agreement to the current terms.
	ConsentID string
}

// Enlistment is a user made known to a network.
type Enlistment struct {
	// Address is the login's own address; its text is the login id.
	Address    network.Address
	User       string
	Identifier string
	Status     Status
	// ChatURL is where the login connects to.
	ChatURL string
	// OtherKeys says that the user was enlisted before, with other keys than the
	// applicant's. The network knows those older keys, so they must be used.
	OtherKeys bool
}

// Identifier is what people of a network type to find the user, as the configuration has it.
func (p *Provider) Identifier(user string) (string, error) {
	localpart, domain, ok := splitUser(user)
	if !ok {
		return "", fmt.Errorf("%w: not a user id", network.ErrBadIdentifier)
	}
	if p.cfg.Integrator.Identifier == Username {
		return strings.ToLower(localpart), nil
	}
	if strings.Contains(domain, ":") {
		return "", fmt.Errorf("%w: a server name with a port makes no email address", network.ErrBadIdentifier)
	}
	return strings.ToLower(localpart + "@" + domain), nil
}

// Enlist makes a user known to a network, and waits until the network has decided
// or ctx ends (docs/protocol.md#enlistment). For a user who is enlisted already it
// returns that enlistment. Errors wrap a sentinel of this package or of package network.
func (p *Provider) Enlist(ctx context.Context, applicant Applicant) (Enlistment, error) {
	enlistment, err := p.enlist(ctx, applicant)
	if err != nil {
		return Enlistment{}, fmt.Errorf("failed to enlist with %s: %w", applicant.Network.DisplayName(), err)
	}
	return enlistment, nil
}

func (p *Provider) enlist(ctx context.Context, a Applicant) (Enlistment, error) {
	if err := p.admit(a.User, a.Network); err != nil {
		return Enlistment{}, err
	}
	if !p.started.Load() {
		return Enlistment{}, ErrNotStarted
	}
	identifier, err := p.Identifier(a.User)
	if err != nil {
		return Enlistment{}, err
	}
	if a.Identifier != "" && a.Identifier != identifier {
		return Enlistment{}, fmt.Errorf("%w: not the user's own", network.ErrBadIdentifier)
	}
	a.Identifier, a.DisplayName = identifier, displayName(a.DisplayName, a.User)
	unlock, err := p.lock(ctx, a.User, a.Network)
	if err != nil {
		return Enlistment{}, err
	}
	defer unlock()
	consent, err := p.consent(ctx, a.ConsentID, a.User, a.Network)
	if err != nil {
		return Enlistment{}, err
	}
	if consent.TermsVersion != p.cfg.Consent.Version {
		return Enlistment{}, fmt.Errorf("%w: the terms have changed", ErrNoConsent)
	}
	if p.cfg.byPage() && !consent.RegionInside {
		return Enlistment{}, ErrUnconfirmed
	}
	if err := p.finishWithdrawals(ctx, a.User, a.Network); err != nil {
		return Enlistment{}, err
	}
	if row, err := p.standing(ctx, a.User, a.Network); err != nil {
		return Enlistment{}, err
	} else if row != nil {
		return p.renew(ctx, *row, consent.ID, keysHash(a.Keys))
	}
	return p.apply(ctx, a, consent)
}

// standing is the user's enlistment that has not ended, nil if there is none.
func (p *Provider) standing(ctx context.Context, user string, n network.Network) (*database.Enlistment, error) {
	rows, err := p.db.EnlistmentsOf(ctx, user, n)
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		if status := Status(row.Status); (status == Active || status == Suspended) && int(row.Integrator) == p.cfg.Integrator.ID {
			return row, nil
		}
	}
	return nil, nil
}

// renew puts an enlistment that stands on the newest consent.
func (p *Provider) renew(ctx context.Context, row database.Enlistment, consentID, hash string) (Enlistment, error) {
	if Status(row.Status) == Suspended {
		return Enlistment{}, network.ErrSuspended
	}
	row.ConsentID, row.UpdatedAt = consentID, p.now()
	if err := p.db.PutEnlistment(ctx, row); err != nil {
		return Enlistment{}, err
	}
	enlistment, err := p.enlistment(row)
	enlistment.OtherKeys = row.KeysHash != hash
	return enlistment, err
}

// apply asks the network. The subject is stored before, so that asking again after
// a crash finds the same enlistment and not a second one.
func (p *Provider) apply(ctx context.Context, a Applicant, consent *database.Consent) (Enlistment, error) {
	subject, err := p.db.Subject(ctx, a.User, a.Network, newID("u_"))
	if err != nil {
		return Enlistment{}, err
	}
	request := EnlistRequest{
		Product: a.Network, Keys: a.Keys, Sign: a.Sign,
		Country: consent.Country, Terms: consent.TermsVersion, AcceptedAt: consent.GivenAt,
		Bearer: Bearer{Subject: subject, IdentifierType: p.cfg.Integrator.Identifier, Identifier: a.Identifier,
			DisplayName: a.DisplayName, ProvedAt: consent.GivenAt, NoiseKey: a.Keys.Noise},
	}
	record, err := p.enlister.Enlist(ctx, request)
	if errors.Is(err, ErrIdentityMismatch) {
		// An earlier attempt was enlisted, but its keys were lost before they were stored here.
		if err := p.clear(ctx, a); err != nil {
			return Enlistment{}, err
		}
		record, err = p.enlister.Enlist(ctx, request)
	}
	if err != nil {
		return Enlistment{}, err
	}
	if err := p.checkRecord(record, a); err != nil {
		return Enlistment{}, err
	}
	now := p.now()
	row := database.Enlistment{
		LoginID:      network.Interop(a.Network, record.Integrator, record.AccountID).String(),
		EnlistmentID: record.ID, User: a.User, Network: a.Network, Integrator: record.Integrator, AccountID: record.AccountID,
		Subject: subject, IdentifierType: string(p.cfg.Integrator.Identifier), Identifier: a.Identifier,
		DisplayName: a.DisplayName, KeysHash: keysHash(a.Keys), Status: string(record.Status), ConsentID: consent.ID,
		CreatedAt: now, UpdatedAt: now,
	}
	// The network has enlisted the user now: that must be remembered even if the caller is gone.
	if err := p.db.PutEnlistment(context.WithoutCancel(ctx), row); err != nil {
		return Enlistment{}, err
	}
	if record.Status == Suspended {
		return Enlistment{}, network.ErrSuspended
	}
	return p.enlistment(row)
}

// clear withdraws the enlistments that the network has under the applicant's identifier.
func (p *Provider) clear(ctx context.Context, a Applicant) error {
	records, err := p.enlister.List(ctx, a.Network)
	if err != nil {
		return err
	}
	for _, record := range records {
		if record.Identifier != a.Identifier || record.Status == Withdrawn {
			continue
		}
		p.log.Warn().Str("enlistment_id", record.ID).Msg("Withdrawing an enlistment whose keys are lost")
		if err := p.enlister.Withdraw(ctx, a.Network, record.ID, ReasonUser); err != nil {
			return err
		}
	}
	return nil
}

// checkRecord refuses an answer that is not to what was asked.
func (p *Provider) checkRecord(record Record, a Applicant) error {
	address := network.Interop(a.Network, record.Integrator, record.AccountID)
	switch {
	case record.Product != a.Network:
		return fmt.Errorf("%w: the answer is of another network", network.ErrRejected)
	case int(record.Integrator) != p.cfg.Integrator.ID:
		return fmt.Errorf("%w: the network calls us integrator %d; mend %sintegrator.id", network.ErrRejected, record.Integrator, configPath)
	case address.Validate() != nil:
		return fmt.Errorf("%w: %w", network.ErrRejected, address.Validate())
	case record.Identifier != a.Identifier:
		return fmt.Errorf("%w: the answer is about another identifier", network.ErrRejected)
	case record.Status == Withdrawn:
		return network.ErrWithdrawn
	}
	if record.ChatURL != "" && record.ChatURL != p.cfg.ChatURL {
		p.log.Warn().Msg("The network names another chat server than " + configPath + "chat_url; the configured one is used")
	}
	return nil
}

// Enlistment is what is stored of a login; the error wraps network.ErrNotEnlisted if nothing is.
func (p *Provider) Enlistment(ctx context.Context, login network.Address) (Enlistment, error) {
	row, err := p.db.Enlistment(ctx, login.String())
	if err != nil {
		return Enlistment{}, err
	}
	if row == nil {
		return Enlistment{}, network.ErrNotEnlisted
	}
	return p.enlistment(*row)
}

func (p *Provider) enlistment(row database.Enlistment) (Enlistment, error) {
	address, err := network.ParseAddress(row.LoginID)
	if err != nil {
		return Enlistment{}, fmt.Errorf("failed to read enlistment: %w", err)
	}
	return Enlistment{Address: address, User: row.User, Identifier: row.Identifier, Status: Status(row.Status), ChatURL: p.cfg.ChatURL}, nil
}

// keysHash tells one set of keys from another.
func keysHash(k PublicKeys) string {
	hash := sha256.New()
	hash.Write(binary.BigEndian.AppendUint32(nil, k.RegistrationID))
	hash.Write(k.Identity[:])
	hash.Write(k.Noise[:])
	return hex.EncodeToString(hash.Sum(nil))
}

// displayName is a name that the network takes: 1 to 64 characters, none of them a control character.
func displayName(name, user string) string {
	name = strings.Map(func(r rune) rune {
		if !printable(string(r), 1) {
			return -1
		}
		return r
	}, name)
	if runes := []rune(strings.TrimSpace(name)); len(runes) > maxNameLength {
		name = string(runes[:maxNameLength])
	}
	if name = strings.TrimSpace(name); name != "" {
		return name
	}
	localpart, _, _ := splitUser(user)
	return string([]rune(localpart)[:min(len([]rune(localpart)), maxNameLength)])
}
