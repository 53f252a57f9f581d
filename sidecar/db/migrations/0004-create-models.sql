-- compatible
-- What operators have said of models, and how long their servers took to start.

-- Versions of on-demand configurations. None is ever deleted; at most one of a name is in force.
CREATE TABLE on_demand_configs (
  id               INTEGER PRIMARY KEY AUTOINCREMENT,
  model_name       TEXT    NOT NULL,
  model_uri        TEXT    NOT NULL,
  tracking_id      TEXT,
  idle_ttl_seconds INTEGER NOT NULL CHECK (idle_ttl_seconds > 0),
  description      TEXT,
  -- JSON.
  deploy           TEXT,
  enabled          INTEGER NOT NULL CHECK (enabled IN (0, 1)),
  -- Epoch microseconds: a change is never as old as the one before it.
  created_at_us    INTEGER NOT NULL,
  updated_at_us    INTEGER NOT NULL
) STRICT;
CREATE INDEX on_demand_configs_of_name ON on_demand_configs (model_name, id);
CREATE UNIQUE INDEX on_demand_configs_enabled ON on_demand_configs (model_name) WHERE enabled = 1;

-- Model servers deployed by hand, or found with labels that say so; written before the server is started.
CREATE TABLE deployments (
  name             TEXT    PRIMARY KEY,
  deployment_type  TEXT    NOT NULL CHECK (deployment_type IN ('manual', 'auto')),
  model_uri        TEXT,
  model_type       TEXT,
  tracking_id      TEXT,
  -- Of its creation and of its last use; null: for ever.
  ttl_seconds      INTEGER CHECK (ttl_seconds > 0),
  idle_ttl_seconds INTEGER CHECK (idle_ttl_seconds > 0),
  -- JSON.
  deploy           TEXT,
  created_at_ms    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE model_starts (
  seq       INTEGER PRIMARY KEY AUTOINCREMENT,
  model     TEXT    NOT NULL,
  model_uri TEXT,
  took_ms   INTEGER NOT NULL,
  at_ms     INTEGER NOT NULL
) STRICT;
CREATE INDEX model_starts_of_model ON model_starts (model, seq);
