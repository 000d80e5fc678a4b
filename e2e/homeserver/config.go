package homeserver

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// ServerName is the domain of every user of the homeserver.
const ServerName = "localhost"

const sharedSecret = "test-only"

// config is Dendrite's configuration; DIR stands for its folder, REGISTRATIONS for the list of
// registration files. Room version 11 throughout: with 12 as the default Dendrite 0.15 cannot
// create a room whose creator names no version.
const config = `version: 2
global:
  server_name: localhost
  private_key: DIR/matrix_key.pem
  disable_federation: true
  jetstream: {storage_path: DIR, in_memory: true}
  presence: {enable_inbound: true, enable_outbound: true}
app_service_api: {config_files: [REGISTRATIONS]}
client_api: {registration_disabled: true, guests_disabled: true, registration_shared_secret: SECRET, rate_limiting: {enabled: false}}
federation_api: {database: {connection_string: "file:DIR/fed.db"}, key_perspectives: []}
key_server: {database: {connection_string: "file:DIR/key.db"}}
media_api: {base_path: DIR/media, max_file_size_bytes: 104857600, database: {connection_string: "file:DIR/media.db"}}
room_server: {default_room_version: "11", database: {connection_string: "file:DIR/room.db"}}
sync_api: {database: {connection_string: "file:DIR/sync.db"}, search: {enabled: false}}
user_api: {bcrypt_cost: 4, account_database: {connection_string: "file:DIR/user.db"}}
relay_api: {database: {connection_string: "file:DIR/relay.db"}}
mscs: {mscs: [], database: {connection_string: "file:DIR/mscs.db"}}
logging: [{type: std, level: warn}]
`

// dendrite is the command that runs Dendrite with its data in a folder.
func dendrite(ctx context.Context, dir string, port int, registrations []string) ([]string, error) {
	binary, err := Binary(ctx)
	if err != nil {
		return nil, err
	}
	text := strings.NewReplacer(
		"DIR", dir,
		"REGISTRATIONS", strings.Join(registrations, ", "),
		"SECRET", sharedSecret,
	).Replace(config)
	path := filepath.Join(dir, "dendrite.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return nil, fmt.Errorf("failed to write the homeserver's configuration: %w", err)
	}
	if err := writeSigningKey(filepath.Join(dir, "matrix_key.pem")); err != nil {
		return nil, err
	}
	return []string{binary, "-config", path, "-http-bind-address", fmt.Sprintf("127.0.0.1:%d", port)}, nil
}

// writeSigningKey writes a fresh key as Dendrite reads it: the Ed25519 seed in a PEM block
// whose Key-ID header has the form "ed25519:<name>".
func writeSigningKey(path string) error {
	seed := make([]byte, ed25519.SeedSize)
	if _, err := rand.Read(seed); err != nil {
		return fmt.Errorf("failed to make the homeserver's signing key: %w", err)
	}
	block := &pem.Block{Type: "MATRIX PRIVATE KEY", Headers: map[string]string{"Key-ID": "ed25519:first"}, Bytes: seed}
	if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
		return fmt.Errorf("failed to write the homeserver's signing key: %w", err)
	}
	return nil
}
