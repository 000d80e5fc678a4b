-- v8 -> v9: Signed prekeys that have taken the place of a login's first one

-- Former ones stay for a while: messages that were encrypted to them may still come.
CREATE TABLE cw_signal_signed_prekey (
	login_id TEXT   NOT NULL,
	id       BIGINT NOT NULL,
	packed   bytea  NOT NULL,
	PRIMARY KEY (login_id, id)
);
