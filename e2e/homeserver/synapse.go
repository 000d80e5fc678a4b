package homeserver

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// SynapseEnv names the environment variable that makes Synapse the homeserver instead of Dendrite: it is the Python
// program of a virtual environment with matrix-synapse in it.
const SynapseEnv = "CAUSEWAY_E2E_SYNAPSE"

// synapseConfig is Synapse's configuration, with the same stand-ins as Dendrite's and PORT besides. Accounts, rooms
// and messages come faster in tests than Synapse's limits allow.
const synapseConfig = `server_name: localhost
public_baseurl: "http://127.0.0.1:PORT/"
listeners: [{port: PORT, type: http, bind_addresses: ['127.0.0.1'], resources: [{names: [client, media]}]}]
database: {name: sqlite3, args: {database: DIR/homeserver.db}}
media_store_path: DIR/media
max_upload_size: 100M
signing_key_path: DIR/signing.key
log_config: DIR/log.yaml
pid_file: DIR/homeserver.pid
report_stats: false
registration_shared_secret: SECRET
macaroon_secret_key: SECRET
form_secret: SECRET
bcrypt_rounds: 4
trusted_key_servers: []
suppress_key_server_warning: true
federation_domain_whitelist: []
app_service_config_files: [REGISTRATIONS]
rc_message: &unlimited {per_second: 10000, burst_count: 10000}
rc_registration: *unlimited
rc_login: {address: *unlimited, account: *unlimited, failed_attempts: *unlimited}
rc_joins: {local: *unlimited, remote: *unlimited}
rc_joins_per_room: *unlimited
rc_invites: {per_room: *unlimited, per_user: *unlimited, per_issuer: *unlimited}
rc_admin_redaction: *unlimited
rc_room_creation: *unlimited
rc_media_create: *unlimited
`

const synapseLog = `version: 1
formatters: {plain: {format: '%(asctime)s %(levelname)s %(name)s %(message)s'}}
handlers: {console: {class: logging.StreamHandler, formatter: plain}}
root: {level: WARNING, handlers: [console]}
disable_existing_loggers: false
`

// synapse is the command that runs Synapse with its data in a folder.
func synapse(python, dir string, port int, registrations []string) ([]string, error) {
	seed := make([]byte, ed25519.SeedSize)
	if _, err := rand.Read(seed); err != nil {
		return nil, fmt.Errorf("failed to make the homeserver's signing key: %w", err)
	}
	files := map[string]string{
		"homeserver.yaml": strings.NewReplacer("DIR", dir, "PORT", fmt.Sprint(port), "SECRET", sharedSecret,
			"REGISTRATIONS", strings.Join(registrations, ", ")).Replace(synapseConfig),
		"log.yaml": synapseLog,
		// Its own form: algorithm, version, seed.
		"signing.key": "ed25519 a_first " + base64.RawStdEncoding.EncodeToString(seed) + "\n",
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return nil, fmt.Errorf("failed to write the homeserver's configuration: %w", err)
		}
	}
	return []string{python, "-m", "synapse.app.homeserver", "--config-path", filepath.Join(dir, "homeserver.yaml")}, nil
}
