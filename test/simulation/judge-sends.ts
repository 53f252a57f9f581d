/** Promise 3 and the table of retries: what may be sent again, how often, and not before when. */
import type { KnownCall, KnownTask, Ledger } from "./ledger.js";
import type { LogEntry } from "./log-entry.js";

type Accuse = (words: string) => void;

interface Bound {
  /** Attempts in all. */
  readonly attempts: number;
  readonly pauseMs: number;
}

/** As published: busy without limit, 429 ten times, refused, cut and 502 three times, silence twice; nothing else again. */
function boundOf({ heard, status, retryAfterMs }: KnownCall): Bound {
  if (heard === "busy") return { attempts: Number.POSITIVE_INFINITY, pauseMs: 5_000 };
  if (heard === "refused" || heard === "cut") return { attempts: 3, pauseMs: 2_000 };
  if (heard === "timeout") return { attempts: 2, pauseMs: 5_000 };
  if (heard === "protocol") return { attempts: 1, pauseMs: 0 };
  if (status === 429) return { attempts: 10, pauseMs: Math.max(5_000, retryAfterMs) };
  if (status === 502) return { attempts: 3, pauseMs: 2_000 };
  if (status === 408 || status === 504) return { attempts: 2, pauseMs: 5_000 };
  return { attempts: 1, pauseMs: 0 };
}

/** Pauses are whole milliseconds of a clock that is read twice. */
const ROUNDING_MS = 2;

export function judgeSends(entry: LogEntry, ledger: Ledger, accuse: Accuse): void {
  if (entry.type === "cancel-answered" && entry.how === "dequeued" && ledger.taskOf(entry).status !== "failed")
    accuse(`promise 2: ${entry.task} was said to be cancelled and is ${ledger.taskOf(entry).status}`);
  if (entry.type !== "sent") return;
  const task = ledger.taskOf(entry);
  if (task.status !== "scheduled" || task.fence !== entry.attempt)
    accuse(`promise 2: ${task.uuid} was sent by attempt ${entry.attempt} while it is ${task.status} ${task.fence}`);
  const last = task.calls.at(-1);
  if (last === undefined) return;
  if (last.attempt === entry.attempt) accuse(`promise 2: attempt ${entry.attempt} sent ${task.uuid} twice`);
  if (task.training) judgeTraining(task, accuse);
  if (isOwnDecision(last, ledger)) judgeAgain(entry, last, { ledger, accuse });
}

function judgeTraining(task: KnownTask, accuse: Accuse): void {
  const unsure = task.calls.find(
    (call) => call.heard !== "refused" && call.heard !== "busy" && !(call.heard === "answer" && call.status === 429),
  );
  if (unsure !== undefined)
    accuse(`promise 3: training ${task.uuid} was sent again after '${unsure.heard ?? "nothing"}' ${unsure.status}`);
}

/** False where a crash, a stop or a failing disk came between the answer and what was written about it. */
function isOwnDecision(last: KnownCall, ledger: Ledger): boolean {
  return last.heard !== null && last.epoch === ledger.epoch && last.heardAt > ledger.lastDiskFault;
}

function judgeAgain(
  { t, task }: LogEntry & { type: "sent" },
  last: KnownCall,
  { ledger, accuse }: { ledger: Ledger; accuse: Accuse },
): void {
  const { attempts, pauseMs } = boundOf(last);
  const what = `${task} was sent again after '${last.heard}' ${last.status} at attempt ${last.attempt}`;
  if (last.attempt >= attempts) accuse(`retries: ${what}, one too many`);
  const isClockSteady = ledger.lastJump < last.heardAt;
  if (isClockSteady && t - last.heardAt < pauseMs - ROUNDING_MS)
    accuse(`retries: ${what}, after ${Math.round(t - last.heardAt)} ms`);
}
