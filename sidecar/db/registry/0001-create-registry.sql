-- compatible
-- The model registry: models, their archived versions, aliases, uploads that are under way, and files that are to go.

CREATE TABLE models (
  -- Never another model's, also after this one is gone: folders and uploads are known by it.
  instance    INTEGER PRIMARY KEY AUTOINCREMENT,
  -- Compared byte by byte, which is also the order of lists.
  model_id    TEXT    NOT NULL UNIQUE,
  -- JSON.
  user_data   TEXT    NOT NULL,
  -- Of the next version, transient ones included; only ever grows.
  next_number INTEGER NOT NULL DEFAULT 1 CHECK (next_number > 0)
) STRICT;

CREATE TABLE versions (
  instance           INTEGER NOT NULL REFERENCES models ON DELETE CASCADE,
  number             INTEGER NOT NULL CHECK (number > 0),
  -- Nanoseconds in decimal: up to 2^64-1, more than an INTEGER holds.
  creation_timestamp TEXT    NOT NULL,
  -- Base64 of the SHA-256.
  data_hash          TEXT    NOT NULL,
  data_bytes         INTEGER NOT NULL CHECK (data_bytes >= 0),
  -- JSON.
  user_data          TEXT    NOT NULL,
  PRIMARY KEY (instance, number)
) STRICT;

CREATE TABLE aliases (
  instance  INTEGER NOT NULL,
  alias     TEXT    NOT NULL,
  number    INTEGER NOT NULL,
  set_at_ms INTEGER NOT NULL,
  PRIMARY KEY (instance, alias),
  -- No cascade: whoever deletes a version takes its aliases away first and says so in their history.
  FOREIGN KEY (instance, number) REFERENCES versions
) STRICT, WITHOUT ROWID;
CREATE INDEX aliases_of_version ON aliases (instance, number);

-- What an alias meant and since when; a null number: it was removed then.
CREATE TABLE alias_history (
  seq       INTEGER PRIMARY KEY AUTOINCREMENT,
  instance  INTEGER NOT NULL REFERENCES models ON DELETE CASCADE,
  alias     TEXT    NOT NULL,
  number    INTEGER,
  set_at_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX alias_history_of ON alias_history (instance, alias, seq);

-- Uploads in pieces. The model may be gone: then the next piece is refused.
CREATE TABLE uploads (
  id            TEXT    PRIMARY KEY,
  instance      INTEGER NOT NULL,
  -- The file in the archive's folder of incoming ones.
  incoming      TEXT    NOT NULL UNIQUE,
  -- JSON.
  header        TEXT    NOT NULL,
  -- Bytes that are on the disk for good.
  offset_bytes  INTEGER NOT NULL,
  expires_at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX uploads_expiry ON uploads (expires_at_ms);

-- Written with the deletion, taken away when the files are gone; a null file: the folder.
CREATE TABLE removals (
  seq    INTEGER PRIMARY KEY AUTOINCREMENT,
  folder TEXT    NOT NULL,
  file   TEXT
) STRICT;
