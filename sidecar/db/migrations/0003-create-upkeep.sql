-- compatible
-- What becomes of tasks that are final: how much they hold, who is told of them, which answers may be given again.

-- Final tasks and the bytes of their answers, kept by the triggers below.
CREATE TABLE final_totals (id INTEGER PRIMARY KEY CHECK (id = 1), tasks INTEGER NOT NULL, bytes INTEGER NOT NULL);
INSERT INTO final_totals
  SELECT 1, count(*), ifnull(sum(answer_size), 0) FROM tasks WHERE status IN ('succeeded', 'failed');

CREATE INDEX tasks_final ON tasks (finished_at_ms) WHERE status IN ('succeeded', 'failed');

-- Who is told of a task's end. 'waiting' until the task is final, 'pending' until it was delivered or given up.
CREATE TABLE callbacks (
  seq       INTEGER PRIMARY KEY REFERENCES tasks (seq) ON DELETE CASCADE,
  -- May hold a token; forgotten with the last attempt.
  url       TEXT,
  origin    TEXT    NOT NULL,
  state     TEXT    NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'pending', 'delivered', 'failed')),
  attempts  INTEGER NOT NULL DEFAULT 0,
  due_at_ms INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX callbacks_due ON callbacks (origin, due_at_ms) WHERE state = 'pending';

-- In the transaction of the final state, so that no crash comes between the two.
CREATE TRIGGER tasks_end AFTER UPDATE OF status ON tasks
WHEN new.status IN ('succeeded', 'failed') AND old.status NOT IN ('succeeded', 'failed') BEGIN
  UPDATE final_totals SET tasks = tasks + 1, bytes = bytes + ifnull(new.answer_size, 0);
  UPDATE callbacks SET state = 'pending', due_at_ms = new.finished_at_ms WHERE seq = new.seq;
END;

CREATE TRIGGER tasks_leave AFTER DELETE ON tasks WHEN old.status IN ('succeeded', 'failed') BEGIN
  UPDATE final_totals SET tasks = tasks - 1, bytes = bytes - ifnull(old.answer_size, 0);
END;

-- The newest good answer to a request, by a hash of everything the answer depends on.
CREATE TABLE cached_answers (
  key TEXT    PRIMARY KEY,
  seq INTEGER NOT NULL REFERENCES tasks (seq) ON DELETE CASCADE
) WITHOUT ROWID;
CREATE INDEX cached_answers_of_task ON cached_answers (seq);
