-- compatible
-- Tasks, their small bodies, their attempts, and counters that make every question about the queue a point read.

CREATE TABLE tasks (
  -- Age: tasks of one priority run in this order.
  seq               INTEGER PRIMARY KEY AUTOINCREMENT,
  uuid              TEXT    NOT NULL UNIQUE,
  model             TEXT    NOT NULL,
  task              TEXT    NOT NULL,
  method            TEXT    NOT NULL,
  path              TEXT    NOT NULL,
  headers           TEXT    NOT NULL,
  class             TEXT    NOT NULL,
  priority          INTEGER NOT NULL,
  tenant            TEXT,
  mode              TEXT    NOT NULL,
  source            TEXT    NOT NULL,
  request_id        TEXT    NOT NULL,
  force_tracking_id INTEGER NOT NULL,
  created_at_ms     INTEGER NOT NULL,
  deadline_at_ms    INTEGER,
  idempotency_key   TEXT,
  -- Size and hash outlive the payload, which goes when the task is final.
  payload_key       TEXT,
  payload_size      INTEGER NOT NULL,
  payload_sha256    TEXT    NOT NULL,
  status            TEXT    NOT NULL DEFAULT 'pending'
                    CHECK (status IN ('pending', 'scheduled', 'running', 'succeeded', 'failed')),
  reason            TEXT,
  attempt           INTEGER NOT NULL DEFAULT 0,
  not_before_ms     INTEGER NOT NULL DEFAULT 0,
  started_at_ms     INTEGER,
  -- Start of the newest attempt; started_at_ms is that of the first.
  attempt_at_ms     INTEGER,
  finished_at_ms    INTEGER,
  error_message     TEXT,
  tracking_id       TEXT,
  answer_status     INTEGER,
  answer_headers    TEXT,
  answer_key        TEXT,
  answer_size       INTEGER,
  answer_sha256     TEXT,
  upstream_ms       INTEGER
);

-- Bodies up to 64 KiB stand apart: a move rewrites its row, and should not rewrite 64 KiB with it.
CREATE TABLE inline_payloads (seq INTEGER PRIMARY KEY REFERENCES tasks (seq) ON DELETE CASCADE, bytes BLOB NOT NULL);
CREATE TABLE inline_answers  (seq INTEGER PRIMARY KEY REFERENCES tasks (seq) ON DELETE CASCADE, bytes BLOB NOT NULL);

-- Claims: what may start at once, in order; and what waits for its time (a retry, a busy trainer), apart, so that it is never
-- walked over to find the head of a lane.
CREATE INDEX tasks_ready ON tasks (model, class, priority) WHERE status = 'pending' AND not_before_ms = 0;
CREATE INDEX tasks_later ON tasks (model, class, priority, not_before_ms) WHERE status = 'pending' AND not_before_ms > 0;
CREATE INDEX tasks_deadline ON tasks (deadline_at_ms) WHERE status = 'pending' AND deadline_at_ms IS NOT NULL;
CREATE INDEX tasks_status ON tasks (status);
CREATE INDEX tasks_payload_key ON tasks (payload_key) WHERE payload_key IS NOT NULL;
CREATE INDEX tasks_answer_key ON tasks (answer_key) WHERE answer_key IS NOT NULL;
CREATE UNIQUE INDEX tasks_idempotency ON tasks (idempotency_key, model, task, ifnull(tenant, '')) WHERE idempotency_key IS NOT NULL;

-- One row per attempt, and one more for every answer that came too late (outcome 'refused').
CREATE TABLE attempts (
  id            INTEGER PRIMARY KEY,
  seq           INTEGER NOT NULL REFERENCES tasks (seq) ON DELETE CASCADE,
  attempt       INTEGER NOT NULL,
  started_at_ms INTEGER,
  ended_at_ms   INTEGER,
  outcome       TEXT
);
CREATE INDEX attempts_of_task ON attempts (seq, attempt);

-- Counters, kept by the triggers below. A stretch is 4,096 neighbouring tasks: a position is a sum over whole stretches plus a
-- count inside one, instead of a count over a million rows.
CREATE TABLE waiting_counts (
  model    TEXT    NOT NULL,
  class    TEXT    NOT NULL,
  priority INTEGER NOT NULL,
  stretch  INTEGER NOT NULL,
  tasks    INTEGER NOT NULL,
  PRIMARY KEY (model, class, priority, stretch)
) WITHOUT ROWID;
CREATE TABLE queue_totals (id INTEGER PRIMARY KEY CHECK (id = 1), tasks INTEGER NOT NULL, bytes INTEGER NOT NULL);
INSERT INTO queue_totals VALUES (1, 0, 0);

CREATE TRIGGER tasks_wait_on_insert AFTER INSERT ON tasks WHEN new.status = 'pending' BEGIN
  INSERT INTO waiting_counts VALUES (new.model, new.class, new.priority, new.seq >> 12, 1)
    ON CONFLICT DO UPDATE SET tasks = tasks + 1;
  UPDATE queue_totals SET tasks = tasks + 1, bytes = bytes + new.payload_size;
END;

CREATE TRIGGER tasks_wait_again AFTER UPDATE OF status ON tasks WHEN new.status = 'pending' AND old.status <> 'pending' BEGIN
  INSERT INTO waiting_counts VALUES (new.model, new.class, new.priority, new.seq >> 12, 1)
    ON CONFLICT DO UPDATE SET tasks = tasks + 1;
  UPDATE queue_totals SET tasks = tasks + 1, bytes = bytes + new.payload_size;
END;

CREATE TRIGGER tasks_wait_no_more AFTER UPDATE OF status ON tasks WHEN old.status = 'pending' AND new.status <> 'pending' BEGIN
  UPDATE waiting_counts SET tasks = tasks - 1
    WHERE model = old.model AND class = old.class AND priority = old.priority AND stretch = old.seq >> 12;
  DELETE FROM waiting_counts
    WHERE model = old.model AND class = old.class AND priority = old.priority AND stretch = old.seq >> 12 AND tasks = 0;
  UPDATE queue_totals SET tasks = tasks - 1, bytes = bytes - old.payload_size;
END;

CREATE TRIGGER tasks_begin_attempt AFTER UPDATE OF attempt ON tasks WHEN new.attempt > old.attempt BEGIN
  INSERT INTO attempts (seq, attempt, started_at_ms) VALUES (new.seq, new.attempt, new.attempt_at_ms);
END;

-- Written by the health check: proof that a commit works.
CREATE TABLE health_probe (id INTEGER PRIMARY KEY CHECK (id = 1), at_ms INTEGER NOT NULL);
