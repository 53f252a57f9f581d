/** Promises 1, 2 and 6, and deadlines: nothing is lost, one end, no late writer, results that were really given. */
import type { KnownTask, Ledger } from "./ledger.js";
import type { LogEntry, Status } from "./log-entry.js";

type Accuse = (words: string) => void;
type Commit = LogEntry & { type: "commit" };

const MOVES: Readonly<Record<Status, readonly Status[]>> = {
  pending: ["scheduled", "failed"],
  scheduled: ["running", "succeeded", "failed", "pending"],
  running: ["succeeded", "failed", "pending"],
  succeeded: [],
  failed: [],
};

/** A task is expired within this after its deadline while nothing hinders; slow commits are within it. */
const EXPIRES_WITHIN_MS = 7_000;
/** A busy model server is not asked again for so long, jitter and a slow commit included; its last word counts meanwhile. */
const LONGEST_BACK_OFF_MS = 95_000;
/** After the clock was set forward nobody is woken: the next look is up to 5 s away. */
const AFTER_JUMP_MS = 12_000;

export function judgeTasks(entry: LogEntry, ledger: Ledger, accuse: Accuse): void {
  if (entry.type === "commit") {
    const task = ledger.taskOf(entry);
    judgeMove(entry, task, accuse);
    if (entry.to === "succeeded") judgeSuccess(entry, task, accuse);
    if (entry.to === "failed") judgeFailure(entry, task, { ledger, accuse });
    judgeDeadlines(entry, ledger, accuse);
  } else if (entry.type === "promised") {
    if (ledger.taskOf(entry).status === null) accuse(`promise 1: ${entry.task} was promised before it was on disk`);
  } else if (entry.type === "end") {
    judgeDeadlines(entry, ledger, accuse);
    for (const task of ledger.tasks.values()) {
      const isFinal =
        task.status === "succeeded" || task.status === "failed" || (task.status === null && !task.isPromised);
      if (!isFinal)
        accuse(`promise 1: ${task.uuid} is still ${task.status ?? "unknown"} though nothing hinders any more`);
    }
  }
}

function judgeMove({ task: uuid, from, to, attempt, fence, claim }: Commit, task: KnownTask, accuse: Accuse): void {
  if (from === null) {
    if (task.status !== null) accuse(`promise 1: ${uuid} was written twice`);
    return;
  }
  if (from !== task.status || !MOVES[from].includes(to)) accuse(`promise 2: ${uuid} went from ${task.status} to ${to}`);
  const isClaim = to === "scheduled";
  if (isClaim && (claim === null || fence !== task.fence + 1))
    accuse(`promise 2: ${uuid} was claimed without a new attempt`);
  if (!isClaim && (attempt !== task.fence || fence !== task.fence))
    accuse(`promise 2: attempt ${attempt} wrote ${uuid}, whose attempt is ${task.fence}`);
}

function judgeSuccess({ task: uuid, attempt, result }: Commit, task: KnownTask, accuse: Accuse): void {
  if (result === undefined) {
    accuse(`promise 6: the result of ${uuid} is not on disk`);
    return;
  }
  const calls = task.calls.filter((call) => call.attempt === attempt);
  if (task.training) {
    const run = task.runs.find((each) => result?.includes(`"${each.id}"`));
    if (run?.end !== "FINISHED") accuse(`promise 6: training ${uuid} succeeded without a finished run of its own`);
    return;
  }
  const given = calls.find((call) => call.heard === "answer" && call.status < 400 && call.text === result);
  if (given === undefined) accuse(`promise 6: ${uuid} succeeded with what no model server gave to attempt ${attempt}`);
}

interface Case {
  readonly ledger: Ledger;
  readonly accuse: Accuse;
}

function judgeFailure(entry: Commit, task: KnownTask, { ledger, accuse }: Case): void {
  const { reason, from, wall } = entry;
  const calls = task.calls.filter((call) => call.attempt === entry.attempt);
  const heard = (is: (call: (typeof calls)[number]) => boolean) => calls.some(is);
  const isTrue: Record<string, () => boolean> = {
    cancelled: () => task.cancelAsked,
    // It may have been so when it was asked for, a slow commit ago.
    expired: () =>
      from === "pending" &&
      task.deadlineAtMs !== null &&
      (wall >= task.deadlineAtMs || entry.t - ledger.lastJump < EXPIRES_WITHIN_MS),
    rejected: () =>
      heard(({ heard: how, status }) => (how === "answer" && status >= 400 && status < 500) || how === "busy") ||
      (from === "pending" && task.held && task.training && isTrainerBusy(entry, ledger)),
    upstream_error: () =>
      heard((call) => call.heard !== null && (call.heard !== "answer" || call.status >= 400)) ||
      task.runs.some(({ end }) => end === "FAILED" || (end === "KILLED" && task.cancelledBy !== ledger.epoch)),
    lost: () =>
      task.training && task.fence > 0 && (mayBeTooOld(task, ledger) || task.runs.every((run) => run.isForgotten)),
    model_unavailable: () => calls.length === 0,
    internal: () => task.isDamaged || entry.t - ledger.lastDiskFault < 60_000,
  };
  if (reason === null || isTrue[reason]?.() !== true)
    accuse(`promise 2: ${task.uuid} failed as '${reason}', which is not what happened`);
}

/** After a restart only the wall clock tells how long a run has lasted, and somebody set it. */
function mayBeTooOld(task: KnownTask, ledger: Ledger): boolean {
  return Number.isFinite(ledger.lastJump) && task.calls.at(-1)?.epoch !== ledger.epoch;
}

/** A moment ago is close enough: the answer takes its time to the disk. */
function isTrainerBusy({ t, task }: Commit, ledger: Ledger): boolean {
  const { model } = ledger.tasks.get(task)!;
  const ended = ledger.lastRunEnd.get(model) ?? Number.NEGATIVE_INFINITY;
  const busy = ledger.lastBusy.get(model) ?? Number.NEGATIVE_INFINITY;
  return ledger.ofModel(model, "running").length > 0 || t - ended < 3_000 || t - busy < LONGEST_BACK_OFF_MS;
}

/** No waiting task outlives its deadline by more than the bound, and none that did is started. */
function judgeDeadlines(entry: LogEntry, ledger: Ledger, accuse: Accuse): void {
  for (const task of ledger.tasks.values()) {
    if (task.deadlineAtMs === null || task.status !== "pending" || entry.wall < task.deadlineAtMs) continue;
    if (entry.type === "commit" && entry.task === task.uuid && entry.to === "failed") continue;
    const crossedAt = entry.t - (entry.wall - task.deadlineAtMs);
    const sinceJump = crossedAt < ledger.lastJump;
    const since = Math.max(crossedAt, task.since, ledger.calmSince, sinceJump ? ledger.lastJump : 0);
    if (entry.t - since > (sinceJump ? AFTER_JUMP_MS : EXPIRES_WITHIN_MS))
      accuse(`deadline: ${task.uuid} still waits ${Math.round(entry.t - since)} ms after its deadline`);
  }
}
