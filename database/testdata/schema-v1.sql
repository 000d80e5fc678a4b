-- v0 -> v1: Enlistments and consents of interop logins

-- Times are Unix milliseconds; login ids are network.Address texts.

-- The ledger: one row for each time that the terms were put to a user.
CREATE TABLE cw_consent (
	id              TEXT   NOT NULL PRIMARY KEY,
	user_mxid       TEXT   NOT NULL,
	network         TEXT   NOT NULL,
	-- what was shown: version of the wording, and the wording itself
	terms_version   TEXT   NOT NULL,
	terms_text      TEXT   NOT NULL,
	-- the user's statement of being in the EEA, as a country code
	country         TEXT   NOT NULL,
	offered_at      BIGINT,
	given_at        BIGINT,
	withdrawn_at    BIGINT
);
CREATE INDEX cw_consent_user ON cw_consent (user_mxid, network);

CREATE TABLE cw_enlistment (
	login_id        TEXT   NOT NULL PRIMARY KEY,
	enlistment_id   TEXT   NOT NULL UNIQUE,
	user_mxid       TEXT   NOT NULL,
	network         TEXT   NOT NULL,
	integrator      INTEGER NOT NULL,
	account_id      TEXT   NOT NULL,
	-- the random, stable subject of this user's tokens, another one for each network
	subject         TEXT   NOT NULL,
	identifier_type TEXT   NOT NULL,
	identifier      TEXT   NOT NULL,
	display_name    TEXT   NOT NULL,
	-- SHA-256 over the public keys that were enlisted, in hex
	keys_hash       TEXT   NOT NULL,
	status          TEXT   NOT NULL,
	-- why it is ending or has ended; empty otherwise
	end_reason      TEXT   NOT NULL,
	consent_id      TEXT   NOT NULL REFERENCES cw_consent (id),
	created_at      BIGINT NOT NULL,
	updated_at      BIGINT NOT NULL,
	UNIQUE (network, integrator, account_id)
);
CREATE INDEX cw_enlistment_user ON cw_enlistment (user_mxid, network);

-- Subjects outlive enlistments: a subject must never be used for another person.
CREATE TABLE cw_subject (
	user_mxid TEXT NOT NULL,
	network   TEXT NOT NULL,
	subject   TEXT NOT NULL UNIQUE,
	PRIMARY KEY (user_mxid, network)
);
