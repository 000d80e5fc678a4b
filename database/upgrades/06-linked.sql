-- v5 -> v6: Linked devices

-- The logins that are companion devices of a user's own account. Their keys and Signal state lie in the tables
-- of the connection library, under the device.
CREATE TABLE cw_linked (
	login_id   TEXT   NOT NULL PRIMARY KEY,
	device     TEXT   NOT NULL UNIQUE,
	phone      TEXT   NOT NULL,
	-- the root key of the network that the device was linked on: no other may see its keys
	trust_root bytea  NOT NULL,
	linked_at  BIGINT NOT NULL,
	-- the phone's last sign of life, and whether the user was told that it is away
	phone_seen BIGINT  NOT NULL,
	phone_away BOOLEAN NOT NULL
);

-- Which phone number a login knows to belong to which LID. No login learns numbers from another one.
CREATE TABLE cw_linked_alias (
	login_id TEXT NOT NULL REFERENCES cw_linked (login_id) ON DELETE CASCADE,
	lid      TEXT NOT NULL,
	phone    TEXT NOT NULL,
	PRIMARY KEY (login_id, lid),
	UNIQUE (login_id, phone)
);

-- Phone numbers that stood for people before their LID was known.
CREATE TABLE cw_linked_loose (
	login_id TEXT NOT NULL REFERENCES cw_linked (login_id) ON DELETE CASCADE,
	phone    TEXT NOT NULL,
	PRIMARY KEY (login_id, phone)
);
