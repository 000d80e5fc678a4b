-- v6 -> v7: What shows the network who sent a message, for reports

-- Sealed, as it holds the message; rows go after some days, and with their login.
CREATE TABLE cw_proof (
	login_id   TEXT   NOT NULL,
	message_id TEXT   NOT NULL,
	payload    bytea  NOT NULL,
	kept_at    BIGINT NOT NULL,
	PRIMARY KEY (login_id, message_id)
);
CREATE INDEX cw_proof_age ON cw_proof (kept_at);
