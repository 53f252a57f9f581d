/** Ends a running training: asks its model server, and remembers that somebody asked, so that its KILLED is told for what it is. */
import { asSluiceError } from "../../core/contract/errors.js";
import type { Clock } from "../../core/runtime/clock.js";
import { below, type HttpClient } from "../../core/runtime/http.js";
import type { Logger } from "../../core/runtime/logger.js";
import { within } from "../../core/runtime/within.js";
import type { ModelCatalogue } from "../models/catalogue.js";
import type { TaskRow, TaskStore } from "../tasks/store.js";
import { credentialsOf } from "./run.js";

const TIMEOUT_MS = 30_000;

export interface CancelOptions {
  readonly store: Pick<TaskStore, "markCancelAsked">;
  readonly catalogue: Pick<ModelCatalogue, "get">;
  readonly http: HttpClient;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface CancelAnswer {
  /** True when the model server says that it will stop the run. */
  readonly accepted: boolean;
  /** What happened, in words for the caller. */
  readonly message: string;
}

export interface Cancellations {
  /** @throws STORE_FAILED, DISK_FULL when the wish cannot be written down; nothing was sent then */
  ask(task: TaskRow): Promise<CancelAnswer>;
  /** True when somebody asked for this task's run to end, before a restart of ours or since. */
  isAsked(task: TaskRow): boolean;
  forget(task: TaskRow): void;
}

type Reply = CancelAnswer & { readonly isCertain: boolean };

export function createCancellations({ store, catalogue, http, clock, logger }: CancelOptions): Cancellations {
  /** Epoch time, or null where it was asked for and refused. */
  const asked = new Map<string, number | null>();
  const accepted = new Set<string>();

  async function mark({ uuid, attempt }: TaskRow, askedAtMs: number | null): Promise<boolean> {
    const isMarked = await store.markCancelAsked(uuid, attempt, askedAtMs);
    if (isMarked) asked.set(uuid, askedAtMs);
    return isMarked;
  }

  async function send(task: TaskRow, url: string): Promise<Reply> {
    try {
      const status = await within(clock, TIMEOUT_MS, undefined, async (signal) => {
        const where = below(url, "/cancel_training");
        const answer = await http.call({ method: "POST", ...where, headers: credentialsOf(task), signal });
        await answer.body.dump();
        return answer.status;
      });
      return { accepted: status === 202, message: wordsFor(status), isCertain: true };
    } catch (cause) {
      const code = String((cause as { code?: unknown }).code);
      logger.warn({ taskId: task.uuid, model: task.model, code }, "a training could not be cancelled");
      if (code === "ECONNREFUSED")
        return {
          accepted: false,
          message: `the model server of '${task.model}' could not be reached`,
          isCertain: true,
        };
      const message = `the model server of '${task.model}' could not be reached, or is silent at its work; it may stop the run yet`;
      return { accepted: false, message, isCertain: false };
    }
  }

  return {
    async ask(task) {
      // Asked twice, CMS may keep the second flag for the next run (reference cms-api 2.6).
      if (accepted.has(task.uuid))
        return { accepted: true, message: "the model server was asked before, and will stop the run" };
      const url = catalogue.get(task.model)?.url ?? null;
      if (url === null) return { accepted: false, message: `model '${task.model}' is not running` };
      // Written down first: should we crash between the two, the run's end is still told as what somebody wanted.
      if (!(await mark(task, clock.now()))) return { accepted: false, message: "the run has just ended" };
      const { isCertain, ...answer } = await send(task, url);
      if (answer.accepted) accepted.add(task.uuid);
      else if (isCertain)
        await mark(task, null).catch((cause) => {
          logger.warn({ taskId: task.uuid, code: asSluiceError(cause).code }, "a refused cancellation stays noted");
        });
      return answer;
    },
    isAsked: ({ uuid, cancelAskedAtMs }) => (asked.has(uuid) ? asked.get(uuid) !== null : cancelAskedAtMs !== null),
    forget({ uuid }) {
      asked.delete(uuid);
      accepted.delete(uuid);
    },
  };
}

function wordsFor(status: number): string {
  if (status === 202) return "the model server will stop the run";
  if (status === 400) return "the model server says that nothing is running there: the run may just have ended";
  if (status === 401 || status === 403) return `the model server refused the credentials of the task (${status})`;
  return `the model server answered ${status}`;
}
