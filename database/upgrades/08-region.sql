-- v7 -> v8: What the region page has decided of a user's consent

-- The decision and when it was made; neither address nor country. NULL: not made yet. asked is when the user was asked again.
ALTER TABLE cw_consent ADD COLUMN region_inside BOOLEAN;
ALTER TABLE cw_consent ADD COLUMN region_at BIGINT;
ALTER TABLE cw_consent ADD COLUMN region_asked_at BIGINT;
