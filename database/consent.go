package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"go.mau.fi/util/dbutil"

	"causeway/network"
)

const (
	consentColumns = `id, user_mxid, network, terms_version, terms_text, country, offered_at, given_at, withdrawn_at,
		region_inside, region_at, region_asked_at`

	insertConsentQuery = `
		INSERT INTO cw_consent (` + consentColumns + `) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, NULL, NULL, NULL)`
	getConsentQuery = `
		SELECT ` + consentColumns + ` FROM cw_consent WHERE id=$1`
	getOpenOfferQuery = `
		SELECT ` + consentColumns + ` FROM cw_consent
		WHERE user_mxid=$1 AND network=$2 AND terms_version=$3 AND terms_text=$4 AND given_at IS NULL AND withdrawn_at IS NULL
		ORDER BY offered_at DESC LIMIT 1`
	getConsentsQuery = `
		SELECT ` + consentColumns + ` FROM cw_consent WHERE user_mxid=$1 AND network=$2
		ORDER BY COALESCE(offered_at, given_at), id`
	giveConsentQuery = `
		UPDATE cw_consent SET country=$2, given_at=$3 WHERE id=$1 AND given_at IS NULL AND withdrawn_at IS NULL`
	decideRegionQuery = `
		UPDATE cw_consent SET region_inside=$2, region_at=$3, region_asked_at=NULL
		WHERE id=$1 AND given_at IS NOT NULL AND withdrawn_at IS NULL`
	askRegionQuery = `
		UPDATE cw_consent SET region_asked_at=$2 WHERE id=$1`
	withdrawConsentsQuery = `
		UPDATE cw_consent SET withdrawn_at=$3 WHERE user_mxid=$1 AND network=$2 AND withdrawn_at IS NULL`
)

// Consent is one row of the ledger: a wording that was put to a user, and what
// became of it. A zero time means that the step was not taken.
type Consent struct {
	ID           string
	User         string
	Network      network.Network
	TermsVersion string
	TermsText    string
	// Country is the user's own statement, an ISO 3166-1 alpha-2 code; empty before GivenAt.
	Country     string
	OfferedAt   time.Time
	GivenAt     time.Time
	WithdrawnAt time.Time
	// RegionInside is what the region page has decided at RegionAt: whether the user is in the EEA. It was asked for
	// again at RegionAskedAt, zero since the last decision.
	RegionInside  bool
	RegionAt      time.Time
	RegionAskedAt time.Time
}

// Current says whether the user has agreed and not taken it back.
func (c *Consent) Current() bool {
	return c != nil && !c.GivenAt.IsZero() && c.WithdrawnAt.IsZero()
}

// InsertConsent adds a row to the ledger.
func (db *Database) InsertConsent(ctx context.Context, c Consent) error {
	_, err := db.Exec(ctx, insertConsentQuery, c.ID, c.User, c.Network, c.TermsVersion, c.TermsText, c.Country,
		dbutil.UnixMilliPtr(c.OfferedAt), dbutil.UnixMilliPtr(c.GivenAt), dbutil.UnixMilliPtr(c.WithdrawnAt))
	if err != nil {
		return fmt.Errorf("failed to insert consent: %w", err)
	}
	return nil
}

// Consent is the row with this id, nil if there is none.
func (db *Database) Consent(ctx context.Context, id string) (*Consent, error) {
	return one(scanConsent(db.QueryRow(ctx, getConsentQuery, id)))
}

// OpenOffer is the newest row in which exactly this wording was offered to the
// user and neither taken nor withdrawn, nil if there is none.
func (db *Database) OpenOffer(ctx context.Context, user string, n network.Network, version, text string) (*Consent, error) {
	return one(scanConsent(db.QueryRow(ctx, getOpenOfferQuery, user, n, version, text)))
}

// Consents is a user's ledger for a network, oldest first.
func (db *Database) Consents(ctx context.Context, user string, n network.Network) ([]*Consent, error) {
	rows, err := db.Query(ctx, getConsentsQuery, user, n)
	return dbutil.NewRowIterWithError(rows, scanConsent, err).AsList()
}

// GiveConsent marks an open offer as agreed to; false means that it was not open any more.
func (db *Database) GiveConsent(ctx context.Context, id, country string, at time.Time) (bool, error) {
	result, err := db.Exec(ctx, giveConsentQuery, id, country, at.UnixMilli())
	if err != nil {
		return false, fmt.Errorf("failed to record consent: %w", err)
	}
	changed, err := result.RowsAffected()
	return changed == 1, err
}

// DecideRegion records where the region page has found the user who gave a consent; false means that it does not stand any more.
func (db *Database) DecideRegion(ctx context.Context, id string, inside bool, at time.Time) (bool, error) {
	return changed(db.Exec(ctx, decideRegionQuery, id, inside, at.UnixMilli()))
}

// AskRegion records that the user was asked again.
func (db *Database) AskRegion(ctx context.Context, id string, at time.Time) error {
	_, err := db.Exec(ctx, askRegionQuery, id, at.UnixMilli())
	if err != nil {
		return fmt.Errorf("failed to record a question: %w", err)
	}
	return nil
}

// WithdrawConsents closes every open row of a user and network.
func (db *Database) WithdrawConsents(ctx context.Context, user string, n network.Network, at time.Time) error {
	_, err := db.Exec(ctx, withdrawConsentsQuery, user, n, at.UnixMilli())
	if err != nil {
		return fmt.Errorf("failed to withdraw consents: %w", err)
	}
	return nil
}

func scanConsent(row dbutil.Scannable) (*Consent, error) {
	var c Consent
	var offered, given, withdrawn, located, asked sql.NullInt64
	var inside sql.NullBool
	err := row.Scan(&c.ID, &c.User, &c.Network, &c.TermsVersion, &c.TermsText, &c.Country, &offered, &given, &withdrawn,
		&inside, &located, &asked)
	if err != nil {
		return nil, fmt.Errorf("failed to read consent: %w", err)
	}
	c.OfferedAt, c.GivenAt, c.WithdrawnAt = fromMilli(offered), fromMilli(given), fromMilli(withdrawn)
	c.RegionInside, c.RegionAt, c.RegionAskedAt = inside.Bool, fromMilli(located), fromMilli(asked)
	return &c, nil
}

func fromMilli(ms sql.NullInt64) time.Time {
	if !ms.Valid {
		return time.Time{}
	}
	return time.UnixMilli(ms.Int64)
}

// one turns the absence of a row into nil.
func one[T any](row *T, err error) (*T, error) {
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return row, err
}
