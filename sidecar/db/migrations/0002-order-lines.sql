-- breaking
-- Fair share between tenants and ageing: each waiting task has its turn in its line, and lines know when they were served.
-- Beside it: a cancellation that was asked for outlives a restart, and attempts say why they
-- ended, in words, and for those that went back to waiting as one word that is counted.

ALTER TABLE tasks ADD COLUMN turn INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tasks ADD COLUMN cancel_asked_at_ms INTEGER;
ALTER TABLE attempts ADD COLUMN note TEXT;
ALTER TABLE attempts ADD COLUMN cause TEXT;

-- What waits, one row per line and class: the dispatcher plans by it.
CREATE TABLE waiting_lines (
  model    TEXT    NOT NULL,
  class    TEXT    NOT NULL,
  priority INTEGER NOT NULL,
  tasks    INTEGER NOT NULL,
  PRIMARY KEY (model, class, priority)
) WITHOUT ROWID;

-- A line's present turn (the largest that was started), and when it was served last, counted in starts of its model.
CREATE TABLE line_turns (
  model    TEXT    NOT NULL,
  priority INTEGER NOT NULL,
  turn     INTEGER NOT NULL,
  served   INTEGER NOT NULL,
  PRIMARY KEY (model, priority)
) WITHOUT ROWID;

-- Where each tenant's next turn in a line begins, and how far its turns lie apart. Rows behind the line's present turn are removed.
CREATE TABLE tenant_turns (
  model    TEXT    NOT NULL,
  priority INTEGER NOT NULL,
  tenant   TEXT    NOT NULL,
  next     INTEGER NOT NULL,
  cost     INTEGER NOT NULL,
  PRIMARY KEY (model, priority, tenant)
) WITHOUT ROWID;
CREATE INDEX tenant_turns_next ON tenant_turns (model, priority, next);

-- Claims go by turn; tasks_ready, by age, tells how long a line's oldest task has waited.
CREATE INDEX tasks_turn ON tasks (model, class, priority, turn) WHERE status = 'pending' AND not_before_ms = 0;

-- What waits already keeps its order of age.
UPDATE tasks SET turn = seq * 1000 WHERE status = 'pending';
INSERT INTO waiting_lines SELECT model, class, priority, count(*) FROM tasks WHERE status = 'pending' GROUP BY model, class, priority;
INSERT INTO tenant_turns
  SELECT model, priority, ifnull(tenant, ''), max(turn) + 1000, 1000 FROM tasks WHERE status = 'pending'
  GROUP BY model, priority, ifnull(tenant, '');
INSERT INTO line_turns SELECT model, priority, min(turn), 0 FROM tasks WHERE status = 'pending' GROUP BY model, priority;

-- A stretch is now a span of about 262 turns, so that positions follow the order of claims.
DROP TRIGGER tasks_wait_on_insert;
DROP TRIGGER tasks_wait_again;
DROP TRIGGER tasks_wait_no_more;
DELETE FROM waiting_counts;
INSERT INTO waiting_counts
  SELECT model, class, priority, turn >> 18, count(*) FROM tasks WHERE status = 'pending' GROUP BY model, class, priority, turn >> 18;

CREATE TRIGGER tasks_wait_on_insert AFTER INSERT ON tasks WHEN new.status = 'pending' BEGIN
  INSERT INTO waiting_counts VALUES (new.model, new.class, new.priority, new.turn >> 18, 1)
    ON CONFLICT DO UPDATE SET tasks = tasks + 1;
  INSERT INTO waiting_lines VALUES (new.model, new.class, new.priority, 1) ON CONFLICT DO UPDATE SET tasks = tasks + 1;
  UPDATE queue_totals SET tasks = tasks + 1, bytes = bytes + new.payload_size;
END;

CREATE TRIGGER tasks_wait_again AFTER UPDATE OF status ON tasks WHEN new.status = 'pending' AND old.status <> 'pending' BEGIN
  INSERT INTO waiting_counts VALUES (new.model, new.class, new.priority, new.turn >> 18, 1)
    ON CONFLICT DO UPDATE SET tasks = tasks + 1;
  INSERT INTO waiting_lines VALUES (new.model, new.class, new.priority, 1) ON CONFLICT DO UPDATE SET tasks = tasks + 1;
  UPDATE queue_totals SET tasks = tasks + 1, bytes = bytes + new.payload_size;
END;

CREATE TRIGGER tasks_wait_no_more AFTER UPDATE OF status ON tasks WHEN old.status = 'pending' AND new.status <> 'pending' BEGIN
  UPDATE waiting_counts SET tasks = tasks - 1
    WHERE model = old.model AND class = old.class AND priority = old.priority AND stretch = old.turn >> 18;
  DELETE FROM waiting_counts
    WHERE model = old.model AND class = old.class AND priority = old.priority AND stretch = old.turn >> 18 AND tasks = 0;
  UPDATE waiting_lines SET tasks = tasks - 1 WHERE model = old.model AND class = old.class AND priority = old.priority;
  DELETE FROM waiting_lines WHERE model = old.model AND class = old.class AND priority = old.priority AND tasks = 0;
  UPDATE queue_totals SET tasks = tasks - 1, bytes = bytes - old.payload_size;
END;
