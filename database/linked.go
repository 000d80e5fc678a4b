package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"go.mau.fi/util/dbutil"
)

// LinkedLogin is a companion device of a user's own account. Times are Unix milliseconds.
type LinkedLogin struct {
	// Login is the account's address as text; Device what the network calls the device; Phone the number's digits.
	Login, Device, Phone string
	// TrustRoot is the root key of the network on which the device was linked.
	TrustRoot []byte
	LinkedAt  int64
	// PhoneSeen is the phone's last sign of life, PhoneAway whether the user was told that it is away.
	PhoneSeen int64
	PhoneAway bool
}

// LinkedAlias is a phone number and the LID of the same person, both as digits.
type LinkedAlias struct{ LID, Phone string }

const (
	linkedColumns   = `login_id, device, phone, trust_root, linked_at, phone_seen, phone_away`
	getLinkedQuery  = `SELECT ` + linkedColumns + ` FROM cw_linked WHERE login_id = $1`
	getByPhoneQuery = `SELECT ` + linkedColumns + ` FROM cw_linked WHERE phone = $1`
	putLinkedQuery  = `
		INSERT INTO cw_linked (` + linkedColumns + `) VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (login_id) DO UPDATE SET device = excluded.device, phone = excluded.phone, trust_root = excluded.trust_root,
			linked_at = excluded.linked_at, phone_seen = excluded.phone_seen, phone_away = excluded.phone_away`
	deleteLinkedQuery    = `DELETE FROM cw_linked WHERE login_id = $1 AND device = $2`
	seePhoneQuery        = `UPDATE cw_linked SET phone_seen = $2, phone_away = $3 WHERE login_id = $1`
	listAliasesQuery     = `SELECT lid, phone FROM cw_linked_alias WHERE login_id = $1`
	clearAliasPhoneQuery = `DELETE FROM cw_linked_alias WHERE login_id = $1 AND phone = $2 AND lid <> $3`
	putAliasQuery        = `
		INSERT INTO cw_linked_alias (login_id, lid, phone) VALUES ($1, $2, $3)
		ON CONFLICT (login_id, lid) DO UPDATE SET phone = excluded.phone`
	putLooseQuery   = `INSERT INTO cw_linked_loose (login_id, phone) VALUES ($1, $2) ON CONFLICT DO NOTHING`
	listLooseQuery  = `SELECT phone FROM cw_linked_loose WHERE login_id = $1`
	dropLooseQuery  = `DELETE FROM cw_linked_loose WHERE login_id = $1 AND phone = $2`
	listLinkedQuery = `SELECT ` + linkedColumns + ` FROM cw_linked ORDER BY login_id`
)

// LinkedLogin returns a linked login, nil if there is none.
func (db *Database) LinkedLogin(ctx context.Context, login string) (*LinkedLogin, error) {
	return scanLinked(db.QueryRow(ctx, getLinkedQuery, login))
}

// LinkedLoginByPhone returns the linked login of a phone number, nil if there is none.
func (db *Database) LinkedLoginByPhone(ctx context.Context, phone string) (*LinkedLogin, error) {
	return scanLinked(db.QueryRow(ctx, getByPhoneQuery, phone))
}

// LinkedLogins returns all linked logins.
func (db *Database) LinkedLogins(ctx context.Context) ([]*LinkedLogin, error) {
	rows, err := db.Query(ctx, listLinkedQuery)
	logins, err := dbutil.NewRowIterWithError(rows, scanLinked, err).AsList()
	if err != nil {
		return nil, fmt.Errorf("failed to list linked logins: %w", err)
	}
	return logins, nil
}

func scanLinked(row dbutil.Scannable) (*LinkedLogin, error) {
	var l LinkedLogin
	err := row.Scan(&l.Login, &l.Device, &l.Phone, &l.TrustRoot, &l.LinkedAt, &l.PhoneSeen, &l.PhoneAway)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("failed to read a linked login: %w", err)
	}
	return &l, nil
}

// PutLinkedLogin stores a linked login, over an earlier device of the same account.
func (db *Database) PutLinkedLogin(ctx context.Context, l LinkedLogin) error {
	_, err := db.Exec(ctx, putLinkedQuery, l.Login, l.Device, l.Phone, l.TrustRoot, l.LinkedAt, l.PhoneSeen, l.PhoneAway)
	if err != nil {
		return fmt.Errorf("failed to store a linked login: %w", err)
	}
	return nil
}

// DeleteLinkedLogin forgets a linked login with all that it knows, unless it has another device by now.
func (db *Database) DeleteLinkedLogin(ctx context.Context, login, device string) error {
	if _, err := db.Exec(ctx, deleteLinkedQuery, login, device); err != nil {
		return fmt.Errorf("failed to delete a linked login: %w", err)
	}
	return nil
}

// SetPhoneSeen notes the phone's last sign of life.
func (db *Database) SetPhoneSeen(ctx context.Context, login string, seen int64, away bool) error {
	if _, err := db.Exec(ctx, seePhoneQuery, login, seen, away); err != nil {
		return fmt.Errorf("failed to note that a phone was seen: %w", err)
	}
	return nil
}

// LinkedAliases returns all numbers that a login knows to belong together.
func (db *Database) LinkedAliases(ctx context.Context, login string) ([]LinkedAlias, error) {
	rows, err := db.Query(ctx, listAliasesQuery, login)
	aliases, err := dbutil.NewRowIterWithError(rows, func(row dbutil.Scannable) (a LinkedAlias, err error) {
		err = row.Scan(&a.LID, &a.Phone)
		return a, err
	}, err).AsList()
	if err != nil {
		return nil, fmt.Errorf("failed to list aliases: %w", err)
	}
	return aliases, nil
}

// PutLinkedAliases stores numbers that belong together. A phone number that belonged to another LID moves.
func (db *Database) PutLinkedAliases(ctx context.Context, login string, aliases []LinkedAlias) error {
	return db.DoTxn(ctx, nil, func(ctx context.Context) error {
		for _, a := range aliases {
			if _, err := db.Exec(ctx, clearAliasPhoneQuery, login, a.Phone, a.LID); err != nil {
				return fmt.Errorf("failed to move an alias: %w", err)
			}
			if _, err := db.Exec(ctx, putAliasQuery, login, a.LID, a.Phone); err != nil {
				return fmt.Errorf("failed to store an alias: %w", err)
			}
		}
		return nil
	})
}

// PutLoosePhone notes that a phone number stands for a person whose LID is not known.
func (db *Database) PutLoosePhone(ctx context.Context, login, phone string) error {
	if _, err := db.Exec(ctx, putLooseQuery, login, phone); err != nil {
		return fmt.Errorf("failed to note a phone number: %w", err)
	}
	return nil
}

// LoosePhones returns the phone numbers that stand for people.
func (db *Database) LoosePhones(ctx context.Context, login string) ([]string, error) {
	rows, err := db.Query(ctx, listLooseQuery, login)
	phones, err := dbutil.NewRowIterWithError(rows, dbutil.ScanSingleColumn[string], err).AsList()
	if err != nil {
		return nil, fmt.Errorf("failed to list phone numbers: %w", err)
	}
	return phones, nil
}

// DropLoosePhone notes that a phone number no longer stands for a person.
func (db *Database) DropLoosePhone(ctx context.Context, login, phone string) error {
	if _, err := db.Exec(ctx, dropLooseQuery, login, phone); err != nil {
		return fmt.Errorf("failed to forget a phone number: %w", err)
	}
	return nil
}
