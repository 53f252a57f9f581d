/** Waits for a task's end by its events, coming back when the connection is lost; the task does not notice. */
import { isFinal, type TaskDetail, type TaskEvent } from "../core/contract/tasks.js";
import { sleep } from "../core/runtime/clock.js";
import type { SluiceClient } from "./client.js";
import { readEvents } from "./events.js";
import { CliError, EXIT } from "./exit.js";
import { formatSeconds, StatusLine } from "./terminal.js";

/** Silence after which the connection is made anew; nothing is lost by it. */
export const SILENCE_MS = 60_000;
/** Sluice may be away this long (a restart, an update) before waiting is given up. */
export const AWAY_MS = 60_000;
/** Answers of a Sluice whose sidecar is being started again. */
const AWAY_STATUSES: ReadonlySet<number | undefined> = new Set([502, 503, 504]);
export const FIRST_PAUSE_MS = 250;
export const LONGEST_PAUSE_MS = 5_000;

export interface WaitOptions {
  /** Sluice may be away this long before waiting is given up; default a minute. */
  readonly awayMs?: number;
  /** Null: until it ends. */
  readonly timeoutMs: number | null;
  /** Ctrl-C. */
  readonly signal: AbortSignal;
}

/**
 * @returns the task's page once it is final
 * @throws CliError `timedOut`, `interrupted`, `unreachable` after a minute of trying, `failed` when there is no such task
 */
export async function waitForTask(client: SluiceClient, id: string, options: WaitOptions): Promise<TaskDetail> {
  const { timeoutMs, signal } = options;
  const timeout = new AbortController();
  const timer = timeoutMs === null ? undefined : setTimeout(() => timeout.abort(), Math.min(timeoutMs, 2 ** 31 - 1));
  const line = new StatusLine();
  try {
    return await follow(client, id, {
      signal: AbortSignal.any([signal, timeout.signal]),
      line,
      awayMs: options.awayMs ?? AWAY_MS,
    });
  } catch (caught) {
    const hint = `The task goes on. Come back with: sluice tasks wait ${id}`;
    if (signal.aborted) throw new CliError(EXIT.interrupted, `stopped waiting for task ${id}`, { hint });
    if (timeout.signal.aborted) throw new CliError(EXIT.timedOut, `task ${id} has not ended yet`, { hint });
    if (!isAway(caught)) throw caught;
    const { exitCode, message } = caught;
    throw new CliError(exitCode, `${message}; stopped waiting for task ${id}`, { cause: caught, hint });
  } finally {
    clearTimeout(timer);
    line.clear();
  }
}

async function follow(
  client: SluiceClient,
  id: string,
  to: { signal: AbortSignal; line: StatusLine; awayMs: number },
): Promise<TaskDetail> {
  let lastHeardMs = Date.now();
  let pauseMs = FIRST_PAUSE_MS;
  for (;;) {
    try {
      const answer = await client.call({
        path: `/tasks/${encodeURIComponent(id)}/events`,
        headers: { accept: "text/event-stream" },
        silenceMs: SILENCE_MS,
        signal: to.signal,
      });
      for await (const event of readEvents<TaskEvent>(answer.body)) {
        lastHeardMs = Date.now();
        pauseMs = FIRST_PAUSE_MS;
        to.line.show(describeEvent(event));
        if (isFinal(event.status)) break;
      }
      const task = await showTask(client, id, to.signal);
      lastHeardMs = Date.now();
      if (isFinal(task.status)) return task;
    } catch (caught) {
      to.signal.throwIfAborted();
      const failure = caught instanceof CliError ? caught : client.explain(caught);
      if (!isAway(failure) || Date.now() - lastHeardMs > to.awayMs) throw failure;
      to.line.show("Sluice is away; trying again");
    }
    await sleep(pauseMs, to.signal);
    to.signal.throwIfAborted();
    pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
  }
}

/** Worth another try. */
export const isAway = (caught: unknown): caught is CliError =>
  caught instanceof CliError && (caught.exitCode === EXIT.unreachable || AWAY_STATUSES.has(caught.status));

export function showTask(client: SluiceClient, id: string, signal?: AbortSignal): Promise<TaskDetail> {
  const path = `/tasks/${encodeURIComponent(id)}?detail=true`;
  return client.json<TaskDetail>({ path, ...(signal === undefined ? {} : { signal }) });
}

function describeEvent(event: TaskEvent): string {
  if (event.status !== "pending")
    return { scheduled: "Running", running: "Training", succeeded: "Done", failed: "Failed" }[event.status];
  const before =
    event.position === null ? "" : event.position === 0 ? ", next in line" : `, ${event.position} before it`;
  const eta = event.eta_seconds === null ? "" : `, starts in about ${formatSeconds(event.eta_seconds)}`;
  return `Waiting${before}${eta}`;
}
