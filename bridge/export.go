package bridge

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"maunium.net/go/mautrix/bridgev2"
	"maunium.net/go/mautrix/bridgev2/commands"
	"maunium.net/go/mautrix/event"

	"causeway/database"
)

// exportName is the name of the file that holds what is kept about a user.
const exportName = "third-party-chats.json"

// exported is all that the bridge keeps about a user's accounts, keys aside.
type exported struct {
	User     string            `json:"user"`
	MadeAt   time.Time         `json:"made_at"`
	Consents []exportedConsent `json:"consents"`
	Accounts []exportedAccount `json:"accounts"`
	Linked   []exportedLinked  `json:"linked_accounts"`
	Chats    []exportedChat    `json:"chats"`
}

type exportedConsent struct {
	ID           string     `json:"id"`
	Network      string     `json:"network"`
	TermsVersion string     `json:"terms_version"`
	Terms        string     `json:"terms"`
	Country      string     `json:"country,omitempty"`
	OfferedAt    *time.Time `json:"offered_at,omitempty"`
	GivenAt      *time.Time `json:"given_at,omitempty"`
	WithdrawnAt  *time.Time `json:"withdrawn_at,omitempty"`
	// InRegion is what the region page decided at RegionAt.
	InRegion *bool      `json:"in_region,omitempty"`
	RegionAt *time.Time `json:"region_at,omitempty"`
}

type exportedAccount struct {
	Account     string         `json:"account"`
	Network     string         `json:"network"`
	Identifier  string         `json:"identifier"`
	DisplayName string         `json:"display_name"`
	Status      string         `json:"status"`
	EndReason   string         `json:"end_reason,omitempty"`
	ConsentID   string         `json:"consent_id"`
	CreatedAt   time.Time      `json:"created_at"`
	UpdatedAt   time.Time      `json:"updated_at"`
	Blocked     []string       `json:"blocked,omitempty"`
	Verified    []string       `json:"verified,omitempty"`
	Files       []exportedFile `json:"files,omitempty"`
	// Rows counts what is kept of the account beside that, by table: keys, and what waits or is remembered so that nothing comes twice.
	Rows map[string]int `json:"rows,omitempty"`
}

// exportedLinked is an account of the user's own to which the bridge is linked, or was.
type exportedLinked struct {
	Account   string     `json:"account"`
	Phone     string     `json:"phone,omitempty"`
	Device    string     `json:"device,omitempty"`
	LinkedAt  *time.Time `json:"linked_at,omitempty"`
	PhoneSeen *time.Time `json:"phone_seen,omitempty"`
	Blocked   []string   `json:"blocked,omitempty"`
	Verified  []string   `json:"verified,omitempty"`
	// KnownNumbers are the phone numbers that belong to the hidden numbers of the account's contacts.
	KnownNumbers map[string]string `json:"known_numbers,omitempty"`
	Rows         map[string]int    `json:"rows,omitempty"`
}

// exportedFile is an encrypted file that is kept for phones to fetch.
type exportedFile struct {
	Size      int64     `json:"size"`
	CreatedAt time.Time `json:"created_at"`
	ExpiresAt time.Time `json:"expires_at"`
}

type exportedChat struct {
	Account string `json:"account"`
	Person  string `json:"person"`
	Name    string `json:"name"`
	Phone   string `json:"phone,omitempty"`
	Room    string `json:"room,omitempty"`
	// Messages counts those of which the bridge knows which event stands for them; it keeps no texts.
	Messages int `json:"messages"`
}

// export sends a user what is kept about them, as a file in their chat with the bot and nowhere else.
func (c *Connector) export(ce *commands.Event) {
	record, err := c.record(ce.Ctx, ce.User)
	if err == nil && len(record.Consents)+len(record.Accounts)+len(record.Linked) == 0 {
		ce.Reply(textConsentNone)
		return
	}
	if err == nil {
		err = c.sendFile(ce.Ctx, ce.User, record)
	}
	if err != nil {
		ce.Log.Err(err).Msg("Failed to export a user's records")
		ce.Reply("%s", replyOf(err, ""))
		return
	}
	ce.Reply(textExported)
}

func (c *Connector) record(ctx context.Context, user *bridgev2.User) (exported, error) {
	record := exported{User: user.MXID.String(), MadeAt: time.Now().UTC(), Consents: []exportedConsent{},
		Accounts: []exportedAccount{}, Linked: []exportedLinked{}}
	consents, err := c.db.ConsentsOfUser(ctx, record.User)
	if err != nil {
		return record, err
	}
	for _, row := range consents {
		record.Consents = append(record.Consents, exportedConsent{
			ID: row.ID, Network: string(row.Network), TermsVersion: row.TermsVersion, Terms: row.TermsText, Country: row.Country,
			OfferedAt: moment(row.OfferedAt), GivenAt: moment(row.GivenAt), WithdrawnAt: moment(row.WithdrawnAt),
			InRegion: decision(row), RegionAt: moment(row.RegionAt),
		})
	}
	enlistments, err := c.db.EnlistmentsOfUser(ctx, record.User)
	if err != nil {
		return record, err
	}
	var logins []string
	for _, row := range enlistments {
		account := exportedAccount{
			Account: row.LoginID, Network: string(row.Network), Identifier: row.Identifier, DisplayName: row.DisplayName, Status: row.Status,
			EndReason: row.EndReason, ConsentID: row.ConsentID, CreatedAt: row.CreatedAt.UTC(), UpdatedAt: row.UpdatedAt.UTC(),
		}
		if err = c.addDetails(ctx, user, &account); err != nil {
			return record, err
		}
		record.Accounts = append(record.Accounts, account)
		logins = append(logins, row.LoginID)
	}
	linkedLogins, err := c.linkedAccounts(ctx, user)
	if err != nil {
		return record, err
	}
	for _, login := range linkedLogins {
		account, err := c.linkedRecord(ctx, user, login)
		if err != nil {
			return record, err
		}
		record.Linked = append(record.Linked, account)
	}
	record.Chats, err = c.chatsOf(ctx, append(logins, linkedLogins...))
	return record, err
}

// linkedAccounts are the user's own accounts that the bridge is linked to, and those whose link has ended.
func (c *Connector) linkedAccounts(ctx context.Context, user *bridgev2.User) ([]string, error) {
	accounts, err := c.db.OwnedBy(ctx, string(ownerKey("")), user.MXID.String())
	if err != nil {
		return nil, err
	}
	for _, login := range user.GetUserLogins() {
		client, ok := clientOf(login.Client)
		if ok && client.linked() && !slices.Contains(accounts, string(login.ID)) {
			accounts = append(accounts, string(login.ID))
		}
	}
	return accounts, nil
}

// linkedRecord is what is kept of a linked account.
func (c *Connector) linkedRecord(ctx context.Context, user *bridgev2.User, login string) (account exportedLinked, err error) {
	account.Account = login
	row, err := c.db.LinkedLogin(ctx, login)
	if err != nil {
		return account, err
	}
	if row != nil {
		account.Phone, account.Device = row.Phone, row.Device
		account.LinkedAt, account.PhoneSeen = moment(time.UnixMilli(row.LinkedAt)), moment(time.UnixMilli(row.PhoneSeen))
	}
	aliases, err := c.db.LinkedAliases(ctx, login)
	if err != nil {
		return account, err
	}
	account.KnownNumbers = make(map[string]string)
	for _, alias := range aliases {
		account.KnownNumbers[alias.LID] = alias.Phone
	}
	account.Blocked, account.Verified = marksOf(user, login)
	account.Rows, err = c.db.RowsOf(ctx, login)
	return account, err
}

// addDetails adds to an account what is kept beside its enlistment.
func (c *Connector) addDetails(ctx context.Context, user *bridgev2.User, account *exportedAccount) error {
	files, err := c.db.MediaOf(ctx, account.Account)
	if err != nil {
		return err
	}
	for _, file := range files {
		account.Files = append(account.Files, exportedFile{Size: file.Size, CreatedAt: file.CreatedAt.UTC(), ExpiresAt: file.ExpiresAt.UTC()})
	}
	account.Blocked, account.Verified = marksOf(user, account.Account)
	account.Rows, err = c.db.RowsOf(ctx, account.Account)
	return err
}

// marksOf is marks of the login of an account, if there is one.
func marksOf(user *bridgev2.User, account string) (blocked, verified []string) {
	for _, login := range user.GetUserLogins() {
		if client, ok := clientOf(login.Client); ok && client.self.String() == account {
			return client.marks()
		}
	}
	return nil, nil
}

// marks are the people whom the user has blocked, and those whose safety number they have compared.
func (c *Client) marks() (blocked, verified []string) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	metadata, ok := c.login.Metadata.(*LoginMetadata)
	if !ok || metadata == nil {
		return nil, nil
	}
	return slices.Clone(metadata.Blocked), slices.Sorted(maps.Keys(metadata.Verified))
}

func moment(at time.Time) *time.Time {
	if at.IsZero() {
		return nil
	}
	at = at.UTC()
	return &at
}

func (c *Connector) sendFile(ctx context.Context, user *bridgev2.User, record exported) error {
	data, err := json.MarshalIndent(record, "", "  ")
	if err != nil {
		return fmt.Errorf("failed to write an export: %w", err)
	}
	room, err := user.GetManagementRoom(ctx)
	if err != nil {
		return fmt.Errorf("failed to find a user's chat with the bot: %w", err)
	}
	url, file, err := c.bridge.Bot.UploadMedia(ctx, room, data, exportName, "application/json")
	if err != nil {
		return fmt.Errorf("failed to upload an export: %w", err)
	}
	_, err = c.bridge.Bot.SendMessage(ctx, room, event.EventMessage, &event.Content{Parsed: &event.MessageEventContent{
		MsgType: event.MsgFile, Body: exportName, FileName: exportName, URL: url, File: file,
		Info: &event.FileInfo{MimeType: "application/json", Size: len(data)}, Mentions: &event.Mentions{},
	}}, nil)
	return err
}

// decision is what the region page has decided, nil if it has not.
func decision(row *database.Consent) *bool {
	if row.RegionAt.IsZero() {
		return nil
	}
	return &row.RegionInside
}
