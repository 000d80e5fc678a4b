-- v4 -> v5: The fate of journal rows, as operators and users are told of it

-- how many processes have died while they were at this row
ALTER TABLE cw_inbox ADD COLUMN deaths INTEGER NOT NULL DEFAULT 0;
-- when the other side's phone had the message, and when it was read; zero if it never said so
ALTER TABLE cw_outbox ADD COLUMN delivered_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE cw_outbox ADD COLUMN read_at BIGINT NOT NULL DEFAULT 0;
-- the program that last worked on the journal: a newer one tries again what the older could not show
ALTER TABLE cw_instance ADD COLUMN software TEXT NOT NULL DEFAULT '';

-- content that outlives its delivery, until its own time is over
CREATE INDEX cw_inbox_kept ON cw_inbox (done_at) WHERE state IN ('done', 'quarantined') AND payload IS NOT NULL;
CREATE INDEX cw_mx_inbox_kept ON cw_mx_inbox (done_at) WHERE state = 'quarantined' AND raw IS NOT NULL;
CREATE INDEX cw_outbox_kept ON cw_outbox (done_at) WHERE state = 'failed' AND payload IS NOT NULL;
