import t from "tap";
import { decideRetry, isRepeatable, mayBeAccepted, type Trouble } from "../../../sidecar/scheduler/retry.js";

const status = (code: number, retryAfterMs: number | null = null): Trouble => ({
  kind: "status",
  status: code,
  retryAfterMs,
});
const failure = (kind: "refused" | "cut" | "timeout" | "protocol", sent = kind !== "refused"): Trouble => ({
  kind: "failure",
  failure: kind,
  sent,
});

/** How often a trouble is tried in all. */
function attempts(trouble: Trouble, repeatable: boolean): number {
  for (let attempt = 1; attempt <= 50; attempt++) {
    if (decideRetry(trouble, attempt, repeatable, 0) === null) return attempt;
  }
  return Number.POSITIVE_INFINITY;
}

t.test("which failures repeat, and how often", async (t) => {
  const inference: [Trouble, number][] = [
    [status(429), 10],
    [status(502), 3],
    [status(504), 2],
    [status(408), 2],
    [status(500), 1],
    [status(503), 1],
    [status(400), 1],
    [failure("refused"), 3],
    [failure("cut"), 3],
    [failure("timeout"), 2],
    [failure("protocol"), 1],
    [{ kind: "busy" }, Number.POSITIVE_INFINITY],
  ];
  for (const [trouble, expected] of inference) t.equal(attempts(trouble, true), expected, JSON.stringify(trouble));
});

t.test("what must not be sent twice is sent again only when it was certainly not accepted", async (t) => {
  t.equal(attempts(failure("refused"), false), 3);
  t.equal(attempts(status(429), false), 10);
  t.equal(attempts({ kind: "busy" }, false), Number.POSITIVE_INFINITY);
  t.equal(attempts(failure("cut", true), false), 1);
  t.equal(attempts(failure("timeout", true), false), 1);
  t.equal(attempts(status(502), false), 1);
  t.equal(attempts(status(504), false), 1);
  t.equal(attempts(failure("cut", false), false), 3, "cut before a byte went out");
});

t.test("routes that compute may be sent twice; trainings and what nobody knows may not", async (t) => {
  for (const task of ["process_bulk", "redact", "sanity-check", "info", "generate", "openai/v1/embeddings"]) {
    t.equal(isRepeatable(task), true, task);
  }
  for (const task of [
    "train_supervised",
    "evaluate",
    "train_metacat",
    "cancel_training",
    "auth/jwt/login",
    "toString",
  ]) {
    t.equal(isRepeatable(task), false, task);
  }
});

t.test("a call may have been accepted unless it never left or the server itself refused it", async (t) => {
  for (const trouble of [
    failure("cut"),
    failure("timeout"),
    failure("protocol"),
    status(502),
    status(504),
    status(408),
  ])
    t.equal(mayBeAccepted(trouble), true, JSON.stringify(trouble));
  for (const trouble of [failure("refused"), failure("cut", false), status(429), status(400), status(500)])
    t.equal(mayBeAccepted(trouble), false, JSON.stringify(trouble));
});

t.test("a busy trainer is asked again after 5 s, doubling to 60 s, with jitter", async (t) => {
  const waits = [1, 2, 3, 4, 5, 6, 100].map((attempt) => decideRetry({ kind: "busy" }, attempt, false, 0));
  t.same(waits, [5_000, 10_000, 20_000, 40_000, 60_000, 60_000, 60_000]);
  t.equal(decideRetry({ kind: "busy" }, 1, false, 1), 7_500);
});

t.test("a model server's Retry-After is obeyed within a bound", async (t) => {
  t.equal(decideRetry(status(429, 30_000), 1, true, 0), 30_000);
  t.equal(decideRetry(status(429, 86_400_000), 1, true, 0), 600_000);
});
