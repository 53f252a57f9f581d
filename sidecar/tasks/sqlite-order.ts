/**
 * The order of claims in SQL: what `scheduler/order.ts` decides by, read and kept inside the writer's transactions. Every question is a
 * point read, whatever waits: a claim costs the same with a million tasks as with one.
 */
import type { Database, Statement } from "../db/open.js";
import { chooseLine, turnCost, turnOf, type WaitingLine } from "../scheduler/order.js";
import { LONGEST_PAUSE_MS } from "./store.js";

/** Tasks whose time has come that one claim takes back into their lines; the rest are by the next. */
const PROMOTE_AT_MOST = 500;

interface Lane {
  readonly model: string;
  /** The classes a claim may serve. */
  readonly classes: readonly string[];
}

/** The task to claim now. */
export interface Best {
  readonly seq: number;
  readonly turn: number;
  readonly priority: number;
}

interface InLine {
  readonly model: string;
  readonly priority: number;
  readonly tenant: string | null;
}

export interface Order {
  /** The turn of a task that arrives; its tenant's next one begins behind it. */
  takeTurn(task: InLine, weight: number): number;
  /** A task left its line without having been started: its tenant's next turn moves up. */
  giveTurnBack(task: InLine): void;
  /** Tasks whose `not_before` has passed stand in their lines again, where they stood before. */
  promoteDue(lane: Lane, nowMs: number): void;
  findBest(lane: Lane, nowMs: number, ageingMs: number): Best | null;
  /** The line's present turn moves on, and tenants that are behind it are forgotten. */
  markServed(model: string, best: Best): void;
}

export function prepareOrder(db: Database): Order {
  return { ...prepareTurns(db), ...prepareSearch(db) };
}

function prepareTurns(db: Database): Pick<Order, "takeTurn" | "giveTurnBack" | "markServed"> {
  const current: Statement<{ turn: number }> = db.prepare(
    "SELECT turn FROM line_turns WHERE model = ? AND priority = ?",
  );
  const next: Statement<{ next: number }> = db.prepare(
    "SELECT next FROM tenant_turns WHERE model = ? AND priority = ? AND tenant = ?",
  );
  const putNext = db.prepare(
    `INSERT INTO tenant_turns VALUES (?, ?, ?, ?, ?)
     ON CONFLICT DO UPDATE SET next = excluded.next, cost = excluded.cost`,
  );
  const moveUp = db.prepare(
    "UPDATE tenant_turns SET next = max(0, next - cost) WHERE model = ? AND priority = ? AND tenant = ?",
  );
  const served = db.prepare(
    `INSERT INTO line_turns SELECT @model, @priority, @turn, 1 + ifnull(max(served), 0) FROM line_turns WHERE model = @model
     ON CONFLICT DO UPDATE SET turn = max(turn, excluded.turn), served = excluded.served`,
  );
  const forget = db.prepare(
    `DELETE FROM tenant_turns WHERE model = @model AND priority = @priority
       AND next <= (SELECT turn FROM line_turns WHERE model = @model AND priority = @priority)`,
  );
  return {
    takeTurn({ model, priority, tenant }, weight) {
      const turn = turnOf(
        current.get(model, priority)?.turn ?? 0,
        next.get(model, priority, tenant ?? "")?.next ?? null,
      );
      const cost = turnCost(weight);
      putNext.run(model, priority, tenant ?? "", turn + cost, cost);
      return turn;
    },
    giveTurnBack({ model, priority, tenant }) {
      moveUp.run(model, priority, tenant ?? "");
    },
    markServed(model, { priority, turn }) {
      served.run({ model, priority, turn });
      forget.run({ model, priority });
    },
  };
}

const READY = "status = 'pending' AND not_before_ms = 0 AND model = ? AND class = ? AND priority = ?";

function prepareSearch(db: Database): Pick<Order, "promoteDue" | "findBest"> {
  const lines: Statement<{ class: string; priority: number; served: number }> = db.prepare(
    `SELECT class, priority, ifnull(served, 0) AS served FROM waiting_lines LEFT JOIN line_turns USING (model, priority)
     WHERE model = ?`,
  );
  const oldest: Statement<{ oldestMs: number }> = db.prepare(
    `SELECT created_at_ms AS oldestMs FROM tasks INDEXED BY tasks_ready WHERE ${READY} ORDER BY seq LIMIT 1`,
  );
  const head: Statement<Best> = db.prepare(
    `SELECT seq, turn, priority FROM tasks INDEXED BY tasks_turn WHERE ${READY} ORDER BY turn, seq LIMIT 1`,
  );
  const promoteWhere = (passed: string) =>
    db.prepare(
      `UPDATE tasks SET not_before_ms = 0 WHERE seq IN (SELECT seq FROM tasks INDEXED BY tasks_later
       WHERE status = 'pending' AND not_before_ms > 0 AND model = ? AND class = ? AND priority = ? AND ${passed}
       LIMIT ${PROMOTE_AT_MOST})`,
    );
  const promote = [promoteWhere("not_before_ms <= ?"), promoteWhere(`not_before_ms > ? + ${LONGEST_PAUSE_MS}`)];
  const linesOf = ({ model, classes }: Lane) => lines.all(model).filter((line) => classes.includes(line.class));
  return {
    promoteDue(lane, nowMs) {
      for (const line of linesOf(lane))
        for (const each of promote) each.run(lane.model, line.class, line.priority, nowMs);
    },
    findBest(lane, nowMs, ageingMs) {
      const due: (WaitingLine & { class: string })[] = [];
      for (const line of linesOf(lane)) {
        const found = oldest.get(lane.model, line.class, line.priority);
        if (found !== undefined) due.push({ ...line, ...found });
      }
      const line = chooseLine(due, nowMs, ageingMs);
      if (line === null) return null;
      // Classes of one priority stand in one line.
      const heads = due.filter(({ priority }) => priority === line.priority);
      return heads.map((each) => head.get(lane.model, each.class, each.priority)!).reduce(earlier);
    },
  };
}

function earlier(one: Best, other: Best): Best {
  if (one.turn !== other.turn) return one.turn < other.turn ? one : other;
  return one.seq < other.seq ? one : other;
}
