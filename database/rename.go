package database

import (
	"context"
	"fmt"
	"strings"
)

const (
	getLIDQuery = `SELECT lid FROM cw_linked_alias WHERE login_id = $1 AND phone = $2`

	// The text of a message's id names its conversation and its sender, with slashes between. Two names that follow each
	// other share a slash, hence the two replacements.
	renamedID = `substr(replace(replace('/' || COLUMN, '/' || $3 || '/', '/' || $4 || '/'), '/' || $3 || '/', '/' || $4 || '/'), 2)`
	names     = `(COLUMN LIKE $3 || '/%' OR COLUMN LIKE '%/' || $3 || '/%')`

	renameMessagesQuery = `
		UPDATE message SET id = ` + renamedID + `
		WHERE bridge_id = $1 AND room_receiver = $2 AND ` + names + ` AND NOT EXISTS (
			SELECT 1 FROM message other WHERE other.bridge_id = message.bridge_id AND other.room_receiver = message.room_receiver
				AND other.part_id = message.part_id AND other.id = ` + renamedID + `)`
	renameRepliesQuery = `
		UPDATE message SET reply_to_id = ` + renamedID + ` WHERE bridge_id = $1 AND room_receiver = $2 AND ` + names
	renameThreadsQuery = `
		UPDATE message SET thread_root_id = ` + renamedID + ` WHERE bridge_id = $1 AND room_receiver = $2 AND ` + names
	renameSendersQuery = `
		UPDATE message SET sender_id = $4 WHERE bridge_id = $1 AND room_receiver = $2 AND sender_id = $3`
	renameReactionsQuery = `
		UPDATE reaction SET sender_id = $4
		WHERE bridge_id = $1 AND room_receiver = $2 AND sender_id = $3 AND NOT EXISTS (
			SELECT 1 FROM reaction other WHERE other.bridge_id = reaction.bridge_id AND other.room_receiver = reaction.room_receiver
				AND other.message_id = reaction.message_id AND other.message_part_id = reaction.message_part_id
				AND other.sender_id = $4 AND other.emoji_id = reaction.emoji_id)`
)

// LinkedLID is the LID of a phone number as far as a login knows, empty if it does not; digits both.
func (db *Database) LinkedLID(ctx context.Context, login, phone string) (string, error) {
	rows, err := db.Query(ctx, getLIDQuery, login, phone)
	if err != nil {
		return "", fmt.Errorf("failed to look for an alias: %w", err)
	}
	defer rows.Close()
	var lid string
	for rows.Next() {
		if err = rows.Scan(&lid); err != nil {
			return "", fmt.Errorf("failed to read an alias: %w", err)
		}
	}
	if err = rows.Err(); err != nil {
		return "", fmt.Errorf("failed to look for an alias: %w", err)
	}
	return lid, nil
}

// RenamePerson has everything in a login's rooms that a person wrote, or that is in the chat with them, stand under another
// address of theirs, of which there must be a ghost. bridgev2 then finds it under that: what answers or changes it, and repeats of it.
func (db *Database) RenamePerson(ctx context.Context, bridgeID, login, old, now string) error {
	err := db.DoTxn(ctx, nil, func(ctx context.Context) error {
		for _, query := range []string{
			strings.ReplaceAll(renameMessagesQuery, "COLUMN", "message.id"), strings.ReplaceAll(renameRepliesQuery, "COLUMN", "reply_to_id"),
			strings.ReplaceAll(renameThreadsQuery, "COLUMN", "thread_root_id"), renameSendersQuery, renameReactionsQuery,
		} {
			if _, err := db.Exec(ctx, query, bridgeID, login, old, now); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("failed to rename a person: %w", err)
	}
	return nil
}
