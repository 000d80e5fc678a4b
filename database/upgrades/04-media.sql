-- v3 -> v4: Hosted media and the network's calls

-- The encrypted files that the network's media proxy may fetch; the files themselves lie on disk under their id.
CREATE TABLE cw_media (
	id         TEXT    NOT NULL PRIMARY KEY,
	login_id   TEXT    NOT NULL REFERENCES cw_enlistment (login_id) ON DELETE CASCADE,
	size       BIGINT  NOT NULL,
	-- SHA-256 of the file, in hex
	sha256     TEXT    NOT NULL,
	-- false while the file is being written: the row keeps its place in the quotas
	ready      BOOLEAN NOT NULL,
	created_at BIGINT  NOT NULL,
	expires_at BIGINT  NOT NULL
);
CREATE INDEX cw_media_login ON cw_media (login_id);
CREATE INDEX cw_media_expiry ON cw_media (expires_at);

-- The calls that were taken, so that a repeated one has no second effect.
CREATE TABLE cw_push_delivery (
	id          TEXT   NOT NULL PRIMARY KEY,
	received_at BIGINT NOT NULL
);
CREATE INDEX cw_push_delivery_age ON cw_push_delivery (received_at);

-- What calls announced and nobody has acted on yet.
CREATE TABLE cw_push_event (
	delivery_id TEXT    NOT NULL,
	seq         INTEGER NOT NULL,
	network     TEXT    NOT NULL,
	-- empty for what is about the provider itself
	login_id    TEXT    NOT NULL,
	type        TEXT    NOT NULL,
	-- the event's own members, JSON
	detail      TEXT    NOT NULL,
	sent_at     BIGINT  NOT NULL,
	PRIMARY KEY (delivery_id, seq)
);
