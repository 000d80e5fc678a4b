-- v1 -> v2: Signal stores of interop logins

-- Times are Unix milliseconds; login ids are network.Address texts, or provisional before an account is known.
CREATE TABLE cw_signal_keys (
	login_id TEXT  NOT NULL PRIMARY KEY,
	packed   bytea NOT NULL
);

CREATE TABLE cw_signal_identity (
	login_id TEXT  NOT NULL,
	address  TEXT  NOT NULL,
	key      bytea NOT NULL,
	PRIMARY KEY (login_id, address)
);

CREATE TABLE cw_signal_session (
	login_id TEXT  NOT NULL,
	address  TEXT  NOT NULL,
	session  bytea NOT NULL,
	PRIMARY KEY (login_id, address)
);

CREATE TABLE cw_signal_prekey (
	login_id TEXT    NOT NULL,
	id       BIGINT  NOT NULL,
	key      bytea   NOT NULL,
	uploaded BOOLEAN NOT NULL,
	PRIMARY KEY (login_id, id)
);

-- Highest prekey id ever given out: an id must not return after its key was used.
CREATE TABLE cw_signal_prekey_counter (
	login_id TEXT   NOT NULL PRIMARY KEY,
	last_id  BIGINT NOT NULL
);

-- Ciphertexts that were opened, by hash; the plaintext goes once it was taken.
CREATE TABLE cw_signal_opened (
	login_id  TEXT   NOT NULL,
	hash      bytea  NOT NULL,
	plaintext bytea,
	opened_at BIGINT NOT NULL,
	PRIMARY KEY (login_id, hash)
);
CREATE INDEX cw_signal_opened_age ON cw_signal_opened (login_id, opened_at);

-- What was sent, to answer devices that could not open it.
CREATE TABLE cw_signal_sent (
	login_id  TEXT   NOT NULL,
	recipient TEXT   NOT NULL,
	id        TEXT   NOT NULL,
	kind      TEXT   NOT NULL,
	plaintext bytea  NOT NULL,
	sent_at   BIGINT NOT NULL,
	PRIMARY KEY (login_id, recipient, id)
);
CREATE INDEX cw_signal_sent_age ON cw_signal_sent (login_id, sent_at);
