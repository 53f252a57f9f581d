-- compatible
ALTER TABLE tasks ADD COLUMN cancel_asked_at_ms INTEGER;
-- Why an attempt ended as it did: in words, and for those that went back to waiting as one word that is counted.
ALTER TABLE attempts ADD COLUMN note TEXT;
ALTER TABLE attempts ADD COLUMN cause TEXT;
