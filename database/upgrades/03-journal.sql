-- v2 -> v3: Journal of deliveries

-- Times are Unix milliseconds, zero for none. The process gives out seq. Payloads are sealed.
CREATE TABLE cw_instance (
	id             INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
	instance_id    TEXT    NOT NULL,
	-- one more at each start; whoever finds another epoch than their own has been replaced
	epoch          BIGINT  NOT NULL,
	commit_counter BIGINT  NOT NULL,
	started_at     BIGINT  NOT NULL,
	clean_stop     BOOLEAN NOT NULL
);

-- Events of a network, until Matrix has them. The key stays afterwards, so that repeats are known.
CREATE TABLE cw_inbox (
	bridge_id   TEXT    NOT NULL,
	seq         BIGINT  NOT NULL,
	login_id    TEXT    NOT NULL,
	chat_id     TEXT    NOT NULL,
	receiver    TEXT    NOT NULL,
	sender_id   TEXT    NOT NULL,
	remote_id   TEXT    NOT NULL,
	kind        TEXT    NOT NULL,
	target_id   TEXT    NOT NULL,
	order_ts    BIGINT  NOT NULL,
	received_at BIGINT  NOT NULL,
	payload     bytea,
	state       TEXT    NOT NULL,
	attempts    INTEGER NOT NULL DEFAULT 0,
	-- why the last try failed, or how a done row ended if not plainly
	error_class TEXT    NOT NULL DEFAULT '',
	hold_until  BIGINT  NOT NULL DEFAULT 0,
	done_at     BIGINT  NOT NULL DEFAULT 0,
	epoch       BIGINT  NOT NULL,

	PRIMARY KEY (bridge_id, seq),
	-- senders choose message ids, so an id alone must never suppress another person's message
	CONSTRAINT cw_inbox_once UNIQUE (bridge_id, login_id, chat_id, sender_id, remote_id, kind),
	CONSTRAINT cw_inbox_state CHECK (state IN ('new', 'retry', 'held', 'done', 'quarantined'))
);
CREATE INDEX cw_inbox_lane ON cw_inbox (bridge_id, chat_id, receiver, seq) WHERE state IN ('new', 'retry');
CREATE INDEX cw_inbox_held ON cw_inbox (bridge_id, chat_id, target_id) WHERE state = 'held';
CREATE INDEX cw_inbox_end ON cw_inbox (done_at) WHERE state IN ('done', 'quarantined');

-- Receipts that Matrix has not shown yet; a newer one of the same reader and kind replaces the older.
CREATE TABLE cw_receipt (
	bridge_id  TEXT   NOT NULL,
	login_id   TEXT   NOT NULL,
	chat_id    TEXT   NOT NULL,
	reader_id  TEXT   NOT NULL,
	kind       TEXT   NOT NULL,
	payload    bytea  NOT NULL,
	updated_at BIGINT NOT NULL,

	PRIMARY KEY (bridge_id, login_id, chat_id, reader_id, kind)
);

-- Matrix events, from before the homeserver's 200 until they are handled.
CREATE TABLE cw_mx_inbox (
	bridge_id   TEXT    NOT NULL,
	event_id    TEXT    NOT NULL,
	seq         BIGINT  NOT NULL,
	room_id     TEXT    NOT NULL,
	raw         bytea,
	state       TEXT    NOT NULL,
	attempts    INTEGER NOT NULL DEFAULT 0,
	received_at BIGINT  NOT NULL,
	error_class TEXT    NOT NULL DEFAULT '',
	done_at     BIGINT  NOT NULL DEFAULT 0,
	epoch       BIGINT  NOT NULL,

	PRIMARY KEY (bridge_id, event_id),
	CONSTRAINT cw_mx_inbox_state CHECK (state IN ('new', 'done', 'quarantined'))
);
CREATE INDEX cw_mx_inbox_lane ON cw_mx_inbox (bridge_id, room_id, seq) WHERE state = 'new';
CREATE INDEX cw_mx_inbox_end ON cw_mx_inbox (done_at) WHERE state IN ('done', 'quarantined');

-- To-device events have no id: the hash of sender and content stands for one.
CREATE TABLE cw_mx_todevice (
	bridge_id   TEXT   NOT NULL,
	hash        TEXT   NOT NULL,
	seq         BIGINT NOT NULL,
	raw         bytea,
	state       TEXT   NOT NULL,
	received_at BIGINT NOT NULL,

	PRIMARY KEY (bridge_id, hash),
	CONSTRAINT cw_mx_todevice_state CHECK (state IN ('new', 'done'))
);

-- What of a transaction counts only in its newest value: key counts, device lists.
CREATE TABLE cw_mx_latest (
	bridge_id  TEXT   NOT NULL,
	kind       TEXT   NOT NULL,
	item       TEXT   NOT NULL,
	value      bytea  NOT NULL,
	updated_at BIGINT NOT NULL,

	PRIMARY KEY (bridge_id, kind, item)
);

-- Messages of Matrix users, until the network has acknowledged them.
CREATE TABLE cw_outbox (
	bridge_id   TEXT    NOT NULL,
	event_id    TEXT    NOT NULL,
	part        INTEGER NOT NULL,
	seq         BIGINT  NOT NULL,
	login_id    TEXT    NOT NULL,
	chat_id     TEXT    NOT NULL,
	room_id     TEXT    NOT NULL,
	sender_mxid TEXT    NOT NULL,
	event_type  TEXT    NOT NULL,
	msg_type    TEXT    NOT NULL,
	remote_id   TEXT    NOT NULL,
	payload     bytea,
	state       TEXT    NOT NULL,
	attempts    INTEGER NOT NULL DEFAULT 0,
	created_at  BIGINT  NOT NULL,
	server_ts   BIGINT  NOT NULL DEFAULT 0,
	error_class TEXT    NOT NULL DEFAULT '',
	-- whether the author has been told of the final state
	reported    BOOLEAN NOT NULL DEFAULT false,
	done_at     BIGINT  NOT NULL DEFAULT 0,
	epoch       BIGINT  NOT NULL,

	PRIMARY KEY (bridge_id, event_id, part),
	CONSTRAINT cw_outbox_remote UNIQUE (bridge_id, login_id, chat_id, remote_id),
	CONSTRAINT cw_outbox_state CHECK (state IN ('ready', 'unknown', 'sent', 'failed'))
);
CREATE INDEX cw_outbox_lane ON cw_outbox (bridge_id, login_id, chat_id, seq) WHERE state IN ('ready', 'unknown');
CREATE INDEX cw_outbox_unreported ON cw_outbox (bridge_id, seq) WHERE state IN ('sent', 'failed') AND NOT reported;
CREATE INDEX cw_outbox_end ON cw_outbox (done_at) WHERE state IN ('sent', 'failed');

-- Rooms that are being created; the marker finds them again after a crash.
CREATE TABLE cw_portal_pending (
	bridge_id  TEXT   NOT NULL,
	portal_id  TEXT   NOT NULL,
	receiver   TEXT   NOT NULL,
	marker     TEXT   NOT NULL,
	room_id    TEXT   NOT NULL DEFAULT '',
	created_at BIGINT NOT NULL,

	PRIMARY KEY (bridge_id, portal_id, receiver)
);
