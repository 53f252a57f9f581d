-- compatible
-- How much there is, kept beside the rows, so that asking costs one read however many there are.

CREATE TABLE totals (
  one      INTEGER PRIMARY KEY CHECK (one = 1),
  models   INTEGER NOT NULL,
  versions INTEGER NOT NULL,
  bytes    INTEGER NOT NULL
) STRICT;

INSERT INTO totals
SELECT 1, (SELECT count(*) FROM models), (SELECT count(*) FROM versions), (SELECT coalesce(sum(data_bytes), 0) FROM versions);

CREATE TRIGGER model_counted AFTER INSERT ON models
BEGIN
  UPDATE totals SET models = models + 1;
END;

CREATE TRIGGER model_discounted AFTER DELETE ON models
BEGIN
  UPDATE totals SET models = models - 1;
END;

CREATE TRIGGER version_counted AFTER INSERT ON versions
BEGIN
  UPDATE totals SET versions = versions + 1, bytes = bytes + NEW.data_bytes;
END;

CREATE TRIGGER version_discounted AFTER DELETE ON versions
BEGIN
  UPDATE totals SET versions = versions - 1, bytes = bytes - OLD.data_bytes;
END;
