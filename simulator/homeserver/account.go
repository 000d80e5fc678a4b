package homeserver

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // the admin API of Synapse prescribes it
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// people are the accounts and their sessions.
type people struct {
	accounts map[string]*account // by user id
	sessions map[string]*session // by access token
	nonces   map[string]struct{} // of the admin API
}

// account is a local user.
type account struct {
	id       string
	password string
	profile  map[string]answer
	rooms    map[string]*room // every room with a membership of this user
	data     map[dataKey]datum
	filters  []answer
	devices  map[string]*device
}

type session struct {
	user   *account
	device string
}

// Account is a user with an access token, for a test to act as.
type Account struct {
	UserID, Token, DeviceID string
}

// Register makes a user and logs it in. An account that exists is only logged in.
func (hs *Server) Register(localpart, password string) Account {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	user := hs.accounts[hs.UserID(localpart)]
	if user == nil {
		user = hs.newAccount(hs.UserID(localpart), password)
	}
	token, deviceID := hs.newSession(user, "")
	return Account{UserID: user.id, Token: token, DeviceID: deviceID}
}

func (hs *Server) newAccount(userID, password string) *account {
	user := &account{
		id: userID, password: password,
		profile: map[string]answer{},
		rooms:   map[string]*room{},
		data:    map[dataKey]datum{},
		devices: map[string]*device{},
	}
	hs.accounts[userID] = user
	return user
}

func (hs *Server) newSession(user *account, deviceID string) (token, id string) {
	if deviceID == "" {
		deviceID = strings.ToUpper(hex.EncodeToString([]byte(hs.token()[:5])))
	}
	token = "syt_" + hs.token()
	hs.sessions[token] = &session{user: user, device: deviceID}
	if user.devices[deviceID] == nil {
		user.devices[deviceID] = newDevice()
	}
	return token, deviceID
}

// authenticate finds the user behind a request. An application service may act as its users (?user_id=).
func (hs *Server) authenticate(rq *request) error {
	rq.token = bearer(rq.Request)
	if rq.token == "" {
		return refuse(http.StatusUnauthorized, "M_MISSING_TOKEN", "Missing access token")
	}
	if s := hs.sessions[rq.token]; s != nil {
		rq.user, rq.device = s.user, s.device
		return nil
	}
	rq.as = hs.byToken[rq.token]
	if rq.as == nil {
		return refuse(http.StatusUnauthorized, "M_UNKNOWN_TOKEN", "Unknown access token")
	}
	userID := rq.query.Get("user_id")
	if userID == "" {
		userID = rq.as.sender
	}
	if userID != rq.as.sender && !rq.as.covers(userID) {
		return forbidden("Application service cannot masquerade as this user (%s).", userID)
	}
	if rq.user = hs.accounts[userID]; rq.user == nil {
		return forbidden("Application service has not registered this user (%s)", userID)
	}
	rq.device = rq.query.Get("device_id")
	return nil
}

func bearer(r *http.Request) string {
	if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		return token
	}
	return r.URL.Query().Get("access_token")
}

// requireSelf refuses requests about another user than the sender.
func requireSelf(rq *request) error {
	if rq.PathValue("user") != rq.user.id {
		return forbidden("Cannot act for other users")
	}
	return nil
}

// validLocalpart holds new users to the grammar of the specification.
func validLocalpart(localpart string) bool {
	return localpart != "" && !strings.ContainsFunc(localpart, func(c rune) bool {
		return !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || strings.ContainsRune("._=-/+", c))
	})
}

func postRegister(hs *Server, rq *request) (any, error) {
	var in struct {
		Type         string `json:"type"`
		Username     string `json:"username"`
		InhibitLogin bool   `json:"inhibit_login"`
		DeviceID     string `json:"device_id"`
	}
	if err := rq.decode(&in); err != nil {
		return nil, err
	}
	as := hs.byToken[bearer(rq.Request)]
	switch {
	case in.Type != "m.login.application_service" || rq.query.Get("kind") == "guest":
		return nil, forbidden("Registration has been disabled. Only m.login.application_service registrations are allowed.")
	case as == nil:
		return nil, refuse(http.StatusUnauthorized, "M_UNKNOWN_TOKEN", "Unknown access token")
	case !validLocalpart(in.Username):
		return nil, refuse(http.StatusBadRequest, "M_INVALID_USERNAME", "User ID can only contain characters a-z, 0-9, or '=_-./+'")
	}
	userID := hs.UserID(in.Username)
	if userID != as.sender && !as.covers(userID) {
		return nil, refuse(http.StatusBadRequest, "M_EXCLUSIVE", "Invalid user localpart for this application service.")
	}
	return hs.register(userID, "", in.InhibitLogin, in.DeviceID)
}

func (hs *Server) register(userID, password string, inhibitLogin bool, deviceID string) (any, error) {
	if hs.accounts[userID] != nil {
		return nil, refuse(http.StatusBadRequest, "M_USER_IN_USE", "User ID already taken.")
	}
	user := hs.newAccount(userID, password)
	out := map[string]string{"user_id": userID, "home_server": hs.opts.serverName}
	if !inhibitLogin {
		out["access_token"], out["device_id"] = hs.newSession(user, deviceID)
	}
	return out, nil
}

func getNonce(hs *Server, _ *request) (any, error) {
	nonce := hs.token()
	hs.nonces[nonce] = struct{}{}
	return map[string]string{"nonce": nonce}, nil
}

func postSharedSecretRegister(hs *Server, rq *request) (any, error) {
	var in struct {
		Nonce        string `json:"nonce"`
		Username     string `json:"username"`
		Password     string `json:"password"`
		Displayname  string `json:"displayname"`
		UserType     string `json:"user_type"`
		Admin        bool   `json:"admin"`
		MAC          string `json:"mac"`
		InhibitLogin bool   `json:"inhibit_login"`
	}
	if err := rq.decode(&in); err != nil {
		return nil, err
	}
	if _, known := hs.nonces[in.Nonce]; !known {
		return nil, refuse(http.StatusBadRequest, "M_UNKNOWN", "unrecognised nonce")
	}
	parts := []string{in.Nonce, in.Username, in.Password, "notadmin"}
	if in.Admin {
		parts[3] = "admin"
	}
	if in.UserType != "" {
		parts = append(parts, in.UserType)
	}
	mac := hmac.New(sha1.New, []byte(hs.opts.sharedSecret))
	_, _ = fmt.Fprint(mac, strings.Join(parts, "\x00"))
	if !hmac.Equal([]byte(hex.EncodeToString(mac.Sum(nil))), []byte(in.MAC)) {
		return nil, forbidden("HMAC incorrect")
	}
	delete(hs.nonces, in.Nonce)
	if !validLocalpart(in.Username) {
		return nil, refuse(http.StatusBadRequest, "M_INVALID_USERNAME", "User ID can only contain characters a-z, 0-9, or '=_-./+'")
	}
	out, err := hs.register(hs.UserID(in.Username), in.Password, in.InhibitLogin, "")
	if err == nil && in.Displayname != "" {
		hs.accounts[hs.UserID(in.Username)].profile["displayname"] = spell(in.Displayname)
	}
	return out, err
}

func getLoginFlows(*Server, *request) (any, error) {
	return map[string]any{"flows": []map[string]string{
		{"type": "m.login.password"}, {"type": "m.login.application_service"},
	}}, nil
}

func postLogin(hs *Server, rq *request) (any, error) {
	var in struct {
		Type       string `json:"type"`
		Identifier struct {
			User string `json:"user"`
		} `json:"identifier"`
		User     string `json:"user"`
		Password string `json:"password"`
		DeviceID string `json:"device_id"`
	}
	if err := rq.decode(&in); err != nil {
		return nil, err
	}
	userID := in.Identifier.User + in.User
	if !strings.HasPrefix(userID, "@") {
		userID = hs.UserID(userID)
	}
	user := hs.accounts[userID]
	switch in.Type {
	case "m.login.password":
		if user == nil || user.password == "" || user.password != in.Password {
			return nil, forbidden("Invalid username or password")
		}
	case "m.login.application_service":
		as := hs.byToken[bearer(rq.Request)]
		if as == nil {
			return nil, refuse(http.StatusUnauthorized, "M_UNKNOWN_TOKEN", "Unknown access token")
		}
		if user == nil || userID != as.sender && !as.covers(userID) {
			return nil, forbidden("Invalid access_token submitted")
		}
	default:
		return nil, refuse(http.StatusBadRequest, "M_UNKNOWN", "Unknown login type %s", in.Type)
	}
	token, deviceID := hs.newSession(user, in.DeviceID)
	return map[string]string{"user_id": userID, "access_token": token, "device_id": deviceID, "home_server": hs.opts.serverName}, nil
}

func postLogout(hs *Server, rq *request) (any, error) {
	if rq.as != nil {
		return nil, refuse(http.StatusBadRequest, "M_UNKNOWN", "An application service has no session to end")
	}
	delete(hs.sessions, rq.token)
	delete(rq.user.devices, rq.device)
	return empty, nil
}

func getWhoami(_ *Server, rq *request) (any, error) {
	out := map[string]any{"user_id": rq.user.id, "is_guest": false}
	if rq.device != "" {
		out["device_id"] = rq.device
	}
	return out, nil
}

// joinedRooms of an account, in a steady order.
func (user *account) joinedRooms() []string {
	joined := []string{}
	for id, rm := range user.rooms {
		if rm.members[user.id] == "join" {
			joined = append(joined, id)
		}
	}
	slices.Sort(joined)
	return joined
}
