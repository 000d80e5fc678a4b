// Package messenger spells Messenger: message content in its envelopes, ids of
// messages, and what its people are found by.
//
// It is not the connection and not the account (package wire has both, for every
// network), and knows neither Matrix nor enlistment. Meta has published nothing of
// Messenger's third-party chats; all that this package stands on is assumed.
package messenger
