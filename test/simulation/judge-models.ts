/** Promise 4, and what a model server and all of them together are given at a time. */
import type { Ledger } from "./ledger.js";
import type { LogEntry } from "./log-entry.js";

type Accuse = (words: string) => void;

/** Until the scheduler has seen what was committed, slow commits included. */
const SEEN_WITHIN_MS = 3_000;
/** A process that lets go beside a new one. */
const HANDOVER_MS = 15_000;
/** A new process looks so long for a run that the old one may have ended meanwhile. */
const LOOKS_FOR_MS = 100_000;

export function judgeModels(entry: LogEntry, ledger: Ledger, accuse: Accuse): void {
  if (entry.type === "server-stop" && entry.decided && !ledger.isStopping) judgeStop(entry, ledger, accuse);
  else if (entry.type === "sent" && entry.process === ledger.epoch) judgeSlots(entry, ledger, accuse);
  else if (entry.type === "commit") judgeLease(entry, ledger, accuse);
  else if (entry.type === "end" && entry.t - ledger.lastHandover > LOOKS_FOR_MS) {
    for (const [model, held] of ledger.leases)
      if (held.size > 0) accuse(`promise 4: ${model} is held for ever by ${[...held].join(", ")}`);
  }
}

function judgeStop({ model, wasReady, t }: LogEntry & { type: "server-stop" }, ledger: Ledger, accuse: Accuse): void {
  // A run that died with its server is nobody's to end any more.
  const running = ledger.ofModel(model, "running").filter(({ runs }) => runs.at(-1)?.end !== "died");
  if (running.length > 0) accuse(`promise 4: ${model} was stopped during the accepted training ${running[0]!.uuid}`);
  if (!wasReady) return;
  if (ledger.leaseCount(model) > 0)
    accuse(`promise 4: ${model} was stopped though held by ${[...ledger.leases.get(model)!].join(", ")}`);
  const open = ledger.openCalls().find((call) => call.task.model === model);
  if (open !== undefined) accuse(`promise 4: ${model} was stopped while ${open.task.uuid} runs`);
  const waiting = ledger.ofModel(model, "pending").find((task) => isSeen(task.since, t, ledger));
  if (waiting !== undefined) accuse(`promise 4: ${model} was stopped while ${waiting.uuid} waits for it`);
}

function isSeen(since: number, t: number, ledger: Ledger): boolean {
  return t - Math.max(since, ledger.calmSince) > SEEN_WITHIN_MS;
}

function judgeSlots(entry: LogEntry & { type: "sent" }, ledger: Ledger, accuse: Accuse): void {
  const { model, training, uuid } = ledger.taskOf(entry);
  const { models, maxConcurrentTasks } = ledger.facts;
  const open = ledger.openCalls();
  const atModel = open.filter((call) => call.task.model === model).length + 1;
  const atMost = models.find(({ name }) => name === model)!.concurrency;
  if (atModel > atMost) accuse(`limits: ${model} got ${atModel} calls at a time, ${atMost} are allowed`);
  if (open.length + 1 > maxConcurrentTasks)
    accuse(`limits: ${open.length + 1} calls at a time, ${maxConcurrentTasks} are allowed`);
  const other = ledger.ofModel(model, "running")[0];
  if (training && other !== undefined && entry.t - ledger.lastHandover > HANDOVER_MS)
    accuse(`limits: training ${uuid} was sent to ${model} during the run of ${other.uuid}`);
}

/** Who waits, who is called and who trains holds the model. */
function judgeLease(entry: LogEntry & { type: "commit" }, ledger: Ledger, accuse: Accuse): void {
  const task = ledger.taskOf(entry);
  if (ledger.leaseCount(task.model) > 0 || entry.t - ledger.lastHandover < HANDOVER_MS || ledger.isStopping) return;
  const waited = entry.to === "scheduled" && isSeen(task.since, entry.t, ledger);
  const worked =
    entry.from === "running" || (entry.from === "scheduled" && task.calls.at(-1)?.attempt === entry.attempt);
  if (waited || worked) accuse(`promise 4: nothing holds ${task.model} while ${task.uuid} is ${entry.from}`);
}
