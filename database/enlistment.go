package database

import (
	"context"
	"fmt"
	"time"

	"go.mau.fi/util/dbutil"

	"causeway/network"
)

const (
	enlistmentColumns = `login_id, enlistment_id, user_mxid, network, integrator, account_id, subject,
		identifier_type, identifier, display_name, keys_hash, status, end_reason, consent_id, created_at, updated_at`

	putEnlistmentQuery = `
		INSERT INTO cw_enlistment (` + enlistmentColumns + `)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
		ON CONFLICT (login_id) DO UPDATE SET
			enlistment_id=excluded.enlistment_id, identifier_type=excluded.identifier_type, identifier=excluded.identifier,
			display_name=excluded.display_name, keys_hash=excluded.keys_hash, status=excluded.status, end_reason=excluded.end_reason,
			consent_id=excluded.consent_id, updated_at=excluded.updated_at
		WHERE cw_enlistment.user_mxid=excluded.user_mxid AND cw_enlistment.subject=excluded.subject`
	getEnlistmentQuery = `
		SELECT ` + enlistmentColumns + ` FROM cw_enlistment WHERE login_id=$1`
	getEnlistmentsOfUserQuery = `
		SELECT ` + enlistmentColumns + ` FROM cw_enlistment WHERE user_mxid=$1 AND network=$2 ORDER BY updated_at DESC, login_id`
	getEnlistmentsQuery = `
		SELECT ` + enlistmentColumns + ` FROM cw_enlistment WHERE network=$1 ORDER BY login_id`
	setEnlistmentStatusQuery = `
		UPDATE cw_enlistment SET status=$2, end_reason=$3, updated_at=$4 WHERE login_id=$1`

	insertSubjectQuery = `
		INSERT INTO cw_subject (user_mxid, network, subject) VALUES ($1, $2, $3) ON CONFLICT (user_mxid, network) DO NOTHING`
	getSubjectQuery = `
		SELECT subject FROM cw_subject WHERE user_mxid=$1 AND network=$2`
)

// Enlistment is the record of a user made known to a network.
type Enlistment struct {
	// LoginID is the account's network.Address as text.
	LoginID string
	// EnlistmentID is the network's own name of the enlistment.
	EnlistmentID string
	User         string
	Network      network.Network
	Integrator   uint16
	AccountID    string
	// Subject names the user in tokens; random, one for each user and network.
	Subject        string
	IdentifierType string
	Identifier     string
	DisplayName    string
	// KeysHash is the SHA-256 of the public keys that were enlisted, in hex.
	KeysHash string
	// Status is interop's word for how the enlistment stands.
	Status string
	// EndReason says why it is ending or has ended, in interop's words too; empty otherwise.
	EndReason string
	ConsentID string
	CreatedAt time.Time
	UpdatedAt time.Time
}

// PutEnlistment stores a row, or renews the one with the same login id. A row of
// another user or subject is never overwritten; that is an error.
func (db *Database) PutEnlistment(ctx context.Context, e Enlistment) error {
	result, err := db.Exec(ctx, putEnlistmentQuery, e.LoginID, e.EnlistmentID, e.User, e.Network, e.Integrator, e.AccountID,
		e.Subject, e.IdentifierType, e.Identifier, e.DisplayName, e.KeysHash, e.Status, e.EndReason, e.ConsentID,
		e.CreatedAt.UnixMilli(), e.UpdatedAt.UnixMilli())
	if err != nil {
		return fmt.Errorf("failed to store enlistment: %w", err)
	}
	if changed, err := result.RowsAffected(); err != nil {
		return fmt.Errorf("failed to store enlistment: %w", err)
	} else if changed != 1 {
		return fmt.Errorf("failed to store enlistment: the account belongs to another user")
	}
	return nil
}

// Enlistment is the row with this login id, nil if there is none.
func (db *Database) Enlistment(ctx context.Context, loginID string) (*Enlistment, error) {
	return one(scanEnlistment(db.QueryRow(ctx, getEnlistmentQuery, loginID)))
}

// EnlistmentsOf is a user's rows of a network, whatever their status, newest change first.
func (db *Database) EnlistmentsOf(ctx context.Context, user string, n network.Network) ([]*Enlistment, error) {
	rows, err := db.Query(ctx, getEnlistmentsOfUserQuery, user, n)
	return dbutil.NewRowIterWithError(rows, scanEnlistment, err).AsList()
}

// Enlistments is all rows of a network.
func (db *Database) Enlistments(ctx context.Context, n network.Network) ([]*Enlistment, error) {
	rows, err := db.Query(ctx, getEnlistmentsQuery, n)
	return dbutil.NewRowIterWithError(rows, scanEnlistment, err).AsList()
}

// SetEnlistmentStatus changes how an enlistment stands; the reason is for one that ends.
func (db *Database) SetEnlistmentStatus(ctx context.Context, loginID, status, reason string, at time.Time) error {
	_, err := db.Exec(ctx, setEnlistmentStatusQuery, loginID, status, reason, at.UnixMilli())
	if err != nil {
		return fmt.Errorf("failed to change enlistment: %w", err)
	}
	return nil
}

// Subject is the subject of a user on a network: the stored one, or else fresh, which is then stored.
func (db *Database) Subject(ctx context.Context, user string, n network.Network, fresh string) (string, error) {
	if _, err := db.Exec(ctx, insertSubjectQuery, user, n, fresh); err != nil {
		return "", fmt.Errorf("failed to store subject: %w", err)
	}
	var subject string
	if err := db.QueryRow(ctx, getSubjectQuery, user, n).Scan(&subject); err != nil {
		return "", fmt.Errorf("failed to read subject: %w", err)
	}
	return subject, nil
}

func scanEnlistment(row dbutil.Scannable) (*Enlistment, error) {
	var e Enlistment
	var created, updated int64
	err := row.Scan(&e.LoginID, &e.EnlistmentID, &e.User, &e.Network, &e.Integrator, &e.AccountID, &e.Subject,
		&e.IdentifierType, &e.Identifier, &e.DisplayName, &e.KeysHash, &e.Status, &e.EndReason, &e.ConsentID, &created, &updated)
	if err != nil {
		return nil, fmt.Errorf("failed to read enlistment: %w", err)
	}
	e.CreatedAt, e.UpdatedAt = time.UnixMilli(created), time.UnixMilli(updated)
	return &e, nil
}
