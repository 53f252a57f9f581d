/** Promise 3 and the table of retries: what may be sent again, how often, and not before when. */
import type { KnownCall, KnownTask, Ledger } from "./ledger.js";
import type { LogEntry } from "./log-entry.js";

type Accuse = (words: string) => void;

interface Bound {
  readonly trouble: string;
  /** Times in all, each trouble counted for itself. */
  readonly times: number;
  readonly pauseMs: number;
}

/** As published: busy without limit, 429 ten times, refused, cut and 502 three times, silence twice; nothing else again. */
function boundOf({ heard, status, retryAfterMs }: KnownCall): Bound {
  if (heard === "busy") return { trouble: "busy", times: Number.POSITIVE_INFINITY, pauseMs: 5_000 };
  if (heard === "refused" || heard === "cut") return { trouble: heard, times: 3, pauseMs: 2_000 };
  if (heard === "timeout") return { trouble: heard, times: 2, pauseMs: 5_000 };
  if (heard === "protocol") return { trouble: heard, times: 1, pauseMs: 0 };
  if (status === 429) return { trouble: "429", times: 10, pauseMs: Math.max(5_000, retryAfterMs) };
  if (status === 502) return { trouble: "502", times: 3, pauseMs: 2_000 };
  if (status === 408 || status === 504) return { trouble: "timeout", times: 2, pauseMs: 5_000 };
  return { trouble: String(status), times: 1, pauseMs: 0 };
}

/** Pauses are whole milliseconds of a clock that is read twice. */
const ROUNDING_MS = 2;

export function judgeSends(entry: LogEntry, ledger: Ledger, accuse: Accuse): void {
  if (entry.type === "cancel-answered" && entry.how === "dequeued" && ledger.taskOf(entry).status !== "failed")
    accuse(`promise 2: ${entry.task} was said to be cancelled and is ${ledger.taskOf(entry).status}`);
  if (entry.type === "cancel-answered" && entry.how === "accepted") judgeCancel(entry, ledger, accuse);
  if (entry.type !== "sent") return;
  const task = ledger.taskOf(entry);
  if (task.status !== "scheduled" || task.fence !== entry.attempt)
    accuse(`promise 2: ${task.uuid} was sent by attempt ${entry.attempt} while it is ${task.status} ${task.fence}`);
  const last = task.calls.at(-1);
  if (last === undefined) return;
  if (last.attempt === entry.attempt) accuse(`promise 2: attempt ${entry.attempt} sent ${task.uuid} twice`);
  if (task.training) judgeTraining(task, accuse);
  if (last.isSettled && last.epoch === ledger.epoch) judgeAgain(entry, last, { ledger, accuse });
}

function judgeCancel({ task }: { task: string }, ledger: Ledger, accuse: Accuse): void {
  const { model, runs } = ledger.tasks.get(task)!;
  // CMS's "accepted" names no run: once ours has ended, it speaks of another that is active there.
  if (!runs.some((run) => run.isCancelled || run.end !== null))
    accuse(`promise 2: ${task} is said to end soon, and ${model} was not asked`);
}

function judgeTraining(task: KnownTask, accuse: Accuse): void {
  const unsure = task.calls.find(
    (call) => call.heard !== "refused" && call.heard !== "busy" && !(call.heard === "answer" && call.status === 429),
  );
  if (unsure !== undefined)
    accuse(`promise 3: training ${task.uuid} was sent again after '${unsure.heard ?? "nothing"}' ${unsure.status}`);
}

function judgeAgain(
  { t, task }: LogEntry & { type: "sent" },
  last: KnownCall,
  { ledger, accuse }: { ledger: Ledger; accuse: Accuse },
): void {
  const { trouble, times, pauseMs } = boundOf(last);
  const met = last.task.calls.filter((call) => call.isSettled && boundOf(call).trouble === trouble).length;
  const what = `${task} was sent again after '${last.heard}' ${last.status} at attempt ${last.attempt}`;
  if (met >= times) accuse(`retries: ${what}, which it met ${met} times`);
  const isClockSteady = ledger.lastJump < last.heardAt;
  if (isClockSteady && t - last.heardAt < pauseMs - ROUNDING_MS)
    accuse(`retries: ${what}, after ${Math.round(t - last.heardAt)} ms`);
}
