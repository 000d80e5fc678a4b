package homeserver

import (
	"net/http"
	"strings"
	"sync/atomic"
)

const (
	client = "/_matrix/client/v3/"
	inRoom = client + "rooms/{room}/"
	ofUser = client + "user/{user}/"
)

// route builds the table of endpoints. The names of the patterns are the keys of [Server.Requests].
func (hs *Server) route() {
	hs.mux = http.NewServeMux()
	hs.count.routes = map[string]*atomic.Int64{}
	hs.routeOpen()
	hs.routeAccounts()
	hs.routeRooms()
	hs.routeReading()
	hs.routeMedia()
	hs.routeKeys()
	hs.handle("/", func(w http.ResponseWriter, r *http.Request) {
		hs.count.unrecognized.Store(r.Method+" "+r.URL.Path, empty)
		writeError(w, refuse(http.StatusNotFound, "M_UNRECOGNIZED", "Unrecognized request"))
	})
}

// handle counts the requests of an endpoint.
func (hs *Server) handle(pattern string, serve http.HandlerFunc) {
	count := &atomic.Int64{}
	hs.count.routes[pattern] = count
	hs.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		count.Add(1)
		serve(w, r)
	})
}

// table registers endpoints that need a user and run under the lock.
func (hs *Server) table(endpoints map[string]handler) {
	for pattern, handle := range endpoints {
		hs.handle(absolute(pattern), hs.plain(true, handle))
	}
}

// absolute puts the prefix of the client-server API before a pattern that names only the rest.
func absolute(pattern string) string {
	method, path, _ := strings.Cut(pattern, " ")
	if !strings.HasPrefix(path, "/") {
		path = client + path
	}
	return method + " " + path
}

func (hs *Server) routeOpen() {
	for pattern, handle := range map[string]handler{
		"GET /_matrix/client/versions":     getVersions,
		"GET login":                        getLoginFlows,
		"POST login":                       postLogin,
		"POST register":                    postRegister,
		"GET /_synapse/admin/v1/register":  getNonce,
		"POST /_synapse/admin/v1/register": postSharedSecretRegister,
		"GET profile/{user}":               getProfile,
		"GET profile/{user}/{key}":         getProfileField,
		"GET directory/room/{alias}":       getAlias,
		"GET /.well-known/matrix/client":   getWellKnown,
	} {
		hs.handle(absolute(pattern), hs.plain(false, handle))
	}
}

func (hs *Server) routeAccounts() {
	hs.table(map[string]handler{
		"GET account/whoami":            getWhoami,
		"GET capabilities":              getCapabilities,
		"POST logout":                   postLogout,
		"GET devices":                   getDevices,
		"GET devices/{device}":          getDevice,
		"PUT devices/{device}":          putDevice,
		"DELETE devices/{device}":       deleteDevice,
		"PUT profile/{user}/{key}":      putProfileField,
		"DELETE profile/{user}/{key}":   putProfileField,
		"PUT directory/room/{alias}":    putAlias,
		"DELETE directory/room/{alias}": deleteAlias,
		"PUT presence/{user}/status":    putPresence,

		"POST " + ofUser + "filter":                          postFilter,
		"GET " + ofUser + "filter/{filter}":                  getFilter,
		"GET " + ofUser + "account_data/{type}":              getAccountData,
		"PUT " + ofUser + "account_data/{type}":              putAccountData,
		"GET " + ofUser + "rooms/{room}/account_data/{type}": getAccountData,
		"PUT " + ofUser + "rooms/{room}/account_data/{type}": putAccountData,
		"GET " + ofUser + "rooms/{room}/tags":                getTags,
		"PUT " + ofUser + "rooms/{room}/tags/{tag}":          putTag,
		"DELETE " + ofUser + "rooms/{room}/tags/{tag}":       putTag,
	})
	ping := hs.free(true, hs.postPing)
	hs.handle("POST /_matrix/client/v1/appservice/{id}/ping", ping)
	hs.handle("POST /_matrix/client/unstable/fi.mau.msc2659/appservice/{id}/ping", ping)
}

func (hs *Server) routeRooms() {
	hs.table(map[string]handler{
		"POST createRoom":                           postCreateRoom,
		"POST join/{room}":                          postJoin,
		"POST " + inRoom + "join":                   postJoin,
		"POST " + inRoom + "invite":                 postInvite,
		"POST " + inRoom + "leave":                  postLeave,
		"POST " + inRoom + "forget":                 postForget,
		"POST " + inRoom + "kick":                   postKick,
		"POST " + inRoom + "ban":                    postBan,
		"POST " + inRoom + "unban":                  postUnban,
		"PUT " + inRoom + "send/{type}/{txn}":       remembered(putSend),
		"PUT " + inRoom + "redact/{event}/{txn}":    remembered(putRedact),
		"PUT " + inRoom + "state/{type}":            putState,
		"PUT " + inRoom + "state/{type}/{key...}":   putState,
		"PUT " + inRoom + "typing/{user}":           putTyping,
		"POST " + inRoom + "read_markers":           postReadMarkers,
		"POST " + inRoom + "receipt/{type}/{event}": postReceipt,
	})
}

func (hs *Server) routeReading() {
	hs.table(map[string]handler{
		"GET joined_rooms":                        getJoinedRooms,
		"GET " + inRoom + "state":                 getState,
		"GET " + inRoom + "state/{type}":          getStateEvent,
		"GET " + inRoom + "state/{type}/{key...}": getStateEvent,
		"GET " + inRoom + "members":               getMembers,
		"GET " + inRoom + "joined_members":        getJoinedMembers,
		"GET " + inRoom + "messages":              getMessages,
		"GET " + inRoom + "event/{event}":         getEvent,
		"GET " + inRoom + "context/{event}":       getContext,
	})
	hs.handle("GET "+client+"sync", hs.free(true, hs.getSync))
}

func (hs *Server) routeMedia() {
	hs.handle("POST /_matrix/media/v3/upload", hs.free(true, hs.postUpload))
	hs.handle("POST /_matrix/media/v1/create", hs.plain(true, postCreateMedia))
	hs.handle("PUT /_matrix/media/v3/upload/{server}/{media}", hs.free(true, hs.putUpload))
	hs.handle("GET /_matrix/client/v1/media/config", hs.plain(true, getMediaConfig))
	hs.handle("GET /_matrix/media/v3/config", hs.plain(true, getMediaConfig))
	for _, thing := range []string{"download", "thumbnail"} { // a thumbnail may be as large as the picture
		hs.handle("GET /_matrix/client/v1/media/"+thing+"/{server}/{media}", hs.free(true, hs.getMedia))
		hs.handle("GET /_matrix/media/v3/"+thing+"/{server}/{media}", hs.free(false, hs.getMedia))
	}
	hs.handle("GET /_matrix/client/v1/media/download/{server}/{media}/{name}", hs.free(true, hs.getMedia))
	hs.handle("GET /_matrix/media/v3/download/{server}/{media}/{name}", hs.free(false, hs.getMedia))
}

func (hs *Server) routeKeys() {
	hs.table(map[string]handler{
		"POST keys/upload":              postKeysUpload,
		"POST keys/query":               postKeysQuery,
		"POST keys/claim":               postKeysClaim,
		"PUT sendToDevice/{type}/{txn}": remembered(putToDevice),
	})
}
