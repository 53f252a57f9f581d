-- compatible
-- Whether a configuration follows the version or alias that its URI names: a running server is replaced when that changes.
ALTER TABLE on_demand_configs ADD COLUMN follow INTEGER NOT NULL DEFAULT 0 CHECK (follow IN (0, 1));

-- What is remembered of models that follow a version of the registry.
CREATE TABLE rollouts (
  model      TEXT    PRIMARY KEY,
  -- The place its present server has; whatever runs in another one is a former server, or one that was to follow.
  slot       INTEGER NOT NULL CHECK (slot >= 0),
  -- The version that was last ready, and the one that was given up.
  kept_uri   TEXT,
  failed_uri TEXT,
  problem    TEXT
) STRICT, WITHOUT ROWID;
