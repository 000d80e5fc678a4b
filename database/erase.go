package database

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"go.mau.fi/util/dbutil"

	"causeway/network"
)

const (
	getConsentsOfUserQuery = `
		SELECT ` + consentColumns + ` FROM cw_consent WHERE user_mxid=$1 ORDER BY COALESCE(offered_at, given_at), id`
	getEnlistmentsOfUserEverywhereQuery = `
		SELECT ` + enlistmentColumns + ` FROM cw_enlistment WHERE user_mxid=$1 ORDER BY created_at, login_id`
	getMediaOfQuery = `
		SELECT ` + mediaColumns + ` FROM cw_media WHERE login_id=$1 ORDER BY created_at, id`

	eraseConsentQuery = `
		UPDATE cw_consent SET user_mxid=$2, terms_text='', country='', region_inside=NULL WHERE id=$1`
	eraseEnlistmentQuery = `
		UPDATE cw_enlistment SET user_mxid=$2, identifier='', display_name='' WHERE login_id=$1`
	deleteEnlistmentQuery = `
		DELETE FROM cw_enlistment WHERE login_id=$1`
	deleteSubjectsQuery = `
		DELETE FROM cw_subject WHERE user_mxid=$1`
	deleteMatrixEventsQuery = `
		DELETE FROM cw_mx_inbox WHERE room_id=$1`

	// deletePendingQuery is for the login's space, which is created like a room; deleteGhostQuery for the ghost that stands
	// for the account itself.
	deletePendingQuery = `
		DELETE FROM cw_portal_pending WHERE portal_id LIKE $1`
	countSpacesQuery = `
		SELECT COUNT(*) FROM cw_portal_pending WHERE portal_id LIKE $1`
	deleteGhostQuery = `
		DELETE FROM ghost WHERE id=$1`

	// The owners of linked accounts, the ended ones included, stand in bridgev2's table for what has no other place.
	getOwnedQuery = `
		SELECT key FROM kv_store WHERE key LIKE $1 AND value=$2 ORDER BY key`
	deleteOwnedQuery = `
		DELETE FROM kv_store WHERE value=$1`

	// erasedPrefix begins what stands in the place of an erased user.
	erasedPrefix = "erased:"
)

// loginTables are the tables, Signal's aside, with rows of a login, each with the column that names it.
func loginTables() map[string]string {
	return map[string]string{
		"cw_inbox": "login_id", "cw_receipt": "login_id", "cw_outbox": "login_id", "cw_push_event": "login_id", "cw_proof": "login_id",
		"cw_portal_pending": "receiver",
	}
}

// linkedTables are the tables with rows of a linked login, those that refer to others first.
func linkedTables() []string {
	return []string{"cw_linked_alias", "cw_linked_loose", "cw_linked"}
}

// RowsOf counts what is kept of a login, by table, empty ones aside: its Signal state, what waits or waited in the journal, and
// what a linked device knows.
func (db *Database) RowsOf(ctx context.Context, loginID string) (map[string]int, error) {
	tables := loginTables()
	for _, table := range slices.Concat(signalTables(), linkedTables(), []string{"cw_media"}) {
		tables[table] = "login_id"
	}
	counts := make(map[string]int)
	for table, column := range tables {
		var count int
		if err := db.QueryRow(ctx, "SELECT COUNT(*) FROM "+table+" WHERE "+column+" = $1", loginID).Scan(&count); err != nil {
			return nil, fmt.Errorf("failed to count what is kept of a login: %w", err)
		} else if count > 0 {
			counts[table] = count
		}
	}
	var spaces int
	if err := db.QueryRow(ctx, countSpacesQuery, "%"+loginID).Scan(&spaces); err != nil {
		return nil, fmt.Errorf("failed to count what is kept of a login: %w", err)
	} else if spaces > 0 {
		counts["cw_portal_pending"] += spaces
	}
	return counts, nil
}

// ConsentsOfUser is a user's ledger for all networks, oldest first.
func (db *Database) ConsentsOfUser(ctx context.Context, user string) ([]*Consent, error) {
	rows, err := db.Query(ctx, getConsentsOfUserQuery, user)
	return dbutil.NewRowIterWithError(rows, scanConsent, err).AsList()
}

// EnlistmentsOfUser is a user's rows of all networks, whatever their status, oldest first.
func (db *Database) EnlistmentsOfUser(ctx context.Context, user string) ([]*Enlistment, error) {
	rows, err := db.Query(ctx, getEnlistmentsOfUserEverywhereQuery, user)
	return dbutil.NewRowIterWithError(rows, scanEnlistment, err).AsList()
}

// OwnedBy are the logins of which it stands under prefix and their id that they are a user's, or were the user's last.
func (db *Database) OwnedBy(ctx context.Context, prefix, user string) ([]string, error) {
	rows, err := db.Query(ctx, getOwnedQuery, prefix+"%", user)
	logins, err := dbutil.NewRowIterWithError(rows, dbutil.ScanSingleColumn[string], err).AsList()
	if err != nil {
		return nil, fmt.Errorf("failed to list a user's accounts: %w", err)
	}
	for i, key := range logins {
		logins[i] = strings.TrimPrefix(key, prefix)
	}
	return logins, nil
}

// MediaOf is the files that are hosted for a login, oldest first.
func (db *Database) MediaOf(ctx context.Context, loginID string) ([]*Media, error) {
	rows, err := db.Query(ctx, getMediaOfQuery, loginID)
	return dbutil.NewRowIterWithError(rows, scanMedia, err).AsList()
}

// EraseLogin deletes all rows of a login and what came from its rooms; the enlistment and the consent are for [Database.EraseUser].
func (db *Database) EraseLogin(ctx context.Context, loginID string, rooms []string) error {
	return db.DoTxn(ctx, nil, func(ctx context.Context) error {
		if err := db.DeleteSignalStore(ctx, loginID); err != nil {
			return err
		}
		if err := db.DropLogin(ctx, loginID, rooms); err != nil {
			return err
		}
		for _, table := range linkedTables() {
			if _, err := db.Exec(ctx, "DELETE FROM "+table+" WHERE login_id = $1", loginID); err != nil {
				return fmt.Errorf("failed to erase a login: %w", err)
			}
		}
		// Of a linked account the ghost stays: for other users here it may stand for somebody whom they know.
		if account, err := network.ParseAddress(loginID); err != nil || account.Kind != network.KindInterop {
			return nil
		}
		if _, err := db.Exec(ctx, deleteGhostQuery, loginID); err != nil {
			return fmt.Errorf("failed to erase a login: %w", err)
		}
		return nil
	})
}

// DropLogin deletes what waits of a login and what came from its rooms. What the network knows it by stays.
func (db *Database) DropLogin(ctx context.Context, loginID string, rooms []string) error {
	return db.DoTxn(ctx, nil, func(ctx context.Context) error {
		for table, column := range loginTables() {
			if _, err := db.Exec(ctx, "DELETE FROM "+table+" WHERE "+column+" = $1", loginID); err != nil {
				return fmt.Errorf("failed to erase a login: %w", err)
			}
		}
		if _, err := db.Exec(ctx, deletePendingQuery, "%"+loginID); err != nil {
			return fmt.Errorf("failed to erase a login: %w", err)
		}
		for _, room := range rooms {
			if _, err := db.Exec(ctx, deleteMatrixEventsQuery, room); err != nil {
				return fmt.Errorf("failed to erase a login: %w", err)
			}
		}
		return nil
	})
}

// EraseUser takes a user out of ledger, enlistments and the list of owners. Of a consent stay its id, its version, its times and a hash, by which
// somebody who has both id and user can show that it was theirs. Of an enlistment that has not ended for the
// network stays what is needed to end it; it goes with [Database.DropErased].
func (db *Database) EraseUser(ctx context.Context, user, ended string) error {
	return db.DoTxn(ctx, nil, func(ctx context.Context) error {
		consents, err := db.ConsentsOfUser(ctx, user)
		if err != nil {
			return err
		}
		for _, consent := range consents {
			if _, err = db.Exec(ctx, eraseConsentQuery, consent.ID, erasedHash(consent.ID, user)); err != nil {
				return fmt.Errorf("failed to erase a consent: %w", err)
			}
		}
		rows, err := db.EnlistmentsOfUser(ctx, user)
		if err != nil {
			return err
		}
		for _, row := range rows {
			if row.Status == ended {
				_, err = db.Exec(ctx, deleteEnlistmentQuery, row.LoginID)
			} else {
				_, err = db.Exec(ctx, eraseEnlistmentQuery, row.LoginID, erasedHash(row.LoginID, user))
			}
			if err != nil {
				return fmt.Errorf("failed to erase an enlistment: %w", err)
			}
		}
		if _, err = db.Exec(ctx, deleteSubjectsQuery, user); err != nil {
			return fmt.Errorf("failed to erase a subject: %w", err)
		}
		if _, err = db.Exec(ctx, deleteOwnedQuery, user); err != nil {
			return fmt.Errorf("failed to erase an owner: %w", err)
		}
		return nil
	})
}

// DropErased deletes the enlistment of an erased user; one of anybody else stays.
func (db *Database) DropErased(ctx context.Context, loginID string) error {
	_, err := db.Exec(ctx, deleteEnlistmentQuery+` AND user_mxid LIKE '`+erasedPrefix+`%'`, loginID)
	if err != nil {
		return fmt.Errorf("failed to drop an erased enlistment: %w", err)
	}
	return nil
}

func erasedHash(id, user string) string {
	sum := sha256.Sum256([]byte(id + "\x00" + user))
	return erasedPrefix + hex.EncodeToString(sum[:])
}
