// Package whatsapp spells WhatsApp: addresses as it writes them, message content
// in its closed schema, and the login of a third-party account as a
// network.Client.
//
// It is not the connection (package wire) and knows neither Matrix nor
// enlistment.
package whatsapp
