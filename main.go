// Command causeway is a Matrix application service for third-party chats with WhatsApp and Messenger users.
package main

import (
	_ "github.com/go-jose/go-jose/v4"
	_ "github.com/golang-jwt/jwt/v5"
	_ "github.com/mattn/go-sqlite3"
	_ "github.com/jackc/pgx/v5/stdlib"
	_ "github.com/rogpeppe/go-internal/testscript"
	_ "github.com/stretchr/testify/require"
	_ "github.com/prometheus/client_golang/prometheus/promhttp"
	_ "golang.org/x/net/html"
	_ "go.mau.fi/libsignal/session"
	_ "go.mau.fi/whatsmeow"
	_ "go.mau.fi/whatsmeow/store/sqlstore"
	_ "maunium.net/go/mautrix/bridgev2/matrix/mxmain"
)

func main() {}
