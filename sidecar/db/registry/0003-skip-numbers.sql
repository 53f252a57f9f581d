-- compatible
-- Numbers below a model's next one that no version ever had, since imports skipped them: open for imports alone. Ranges, both ends in.

CREATE TABLE skipped_numbers (
  instance INTEGER NOT NULL REFERENCES models ON DELETE CASCADE,
  first    INTEGER NOT NULL CHECK (first > 0),
  last     INTEGER NOT NULL CHECK (last >= first),
  PRIMARY KEY (instance, first)
) STRICT, WITHOUT ROWID;
