/**
 * The result cache: the same request to the same version of a model is answered from the stored answer of the first. A hit is a
 * task like any other, durable and final at once. What cannot be known for certain (the version, the bytes) is a miss.
 */
import { asSluiceError } from "../../core/contract/errors.js";
import { isFinal, type Submission } from "../../core/contract/tasks.js";
import type { Clock } from "../../core/runtime/clock.js";
import type { Logger } from "../../core/runtime/logger.js";
import type { BlobStore, NewTask, Outcome, StoredBody, TaskAnswer, TaskRow } from "../tasks/store.js";
import type { AnswerIndex } from "../tasks/upkeep-store.js";
import { cacheKey, cacheUse, hitHeaders, isKeepable } from "./cache-key.js";
import type { ModelVersions } from "./model-versions.js";

/** A submission waits no longer than this for its model's version; without it there is no hit. */
const SUBMIT_WAIT_MS = 300;
/** After an answer nobody waits. */
const KEEP_WAIT_MS = 10_000;
/** Tasks whose answers are to be kept, at a time; those beyond are not. */
const MAX_EXPECTED = 10_000;

/** What the cache makes of a submission. */
export interface CacheTicket {
  readonly key: string;
  readonly version: string;
  /** The earlier answer, its body under a name of its own: whoever does not use it removes that. */
  readonly hit: TaskAnswer | null;
}

export interface ResultCache {
  readonly isOn: boolean;
  /** @returns null when this request has no part in the cache. Never rejects. */
  ask(submission: Submission, payload: StoredBody): Promise<CacheTicket | null>;
  /** Makes a hit's task durable: final from the start. */
  insert(task: NewTask, hit: TaskAnswer): Promise<{ task: TaskRow; replayed: boolean }>;
  /** Keeps this task's answer when it comes. */
  expect(uuid: string, ticket: CacheTicket): void;
  /** Told of every change of a task. */
  heard(task: TaskRow): void;
}

export interface ResultCacheOptions {
  readonly answers: AnswerIndex;
  readonly blobs: Pick<BlobStore, "duplicate">;
  readonly versions: ModelVersions;
  readonly settings: () => { enabled: boolean; maxAgeMs: number };
  /** True for tasks that change their model. */
  readonly changesModel: (task: string) => boolean;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly observer: {
    asked(outcome: "hit" | "miss"): void;
    completed(task: TaskRow, outcome: Outcome): void;
  };
}

export function createResultCache(options: ResultCacheOptions): ResultCache {
  const { answers, versions, clock, logger, observer } = options;
  const expected = new Map<string, CacheTicket>();

  async function findHit(key: string): Promise<TaskAnswer | null> {
    const nowMs = clock.now();
    const found = answers.find(key, nowMs - options.settings().maxAgeMs);
    if (found === null) return null;
    try {
      const body = await options.blobs.duplicate(found.answer.body);
      const headers = hitHeaders(found.answer.headers, nowMs - found.finishedAtMs);
      return { status: found.answer.status, headers, body, upstreamMs: 0 };
    } catch (caught) {
      const { code } = asSluiceError(caught);
      logger.warn({ event: "cached_answer_unusable", code, err: caught }, "a kept answer cannot be used; asking anew");
      if (code === "RESULT_DAMAGED") await answers.forget(key).catch(() => undefined);
      return null;
    }
  }

  async function keep(task: TaskRow, ticket: CacheTicket): Promise<void> {
    // The model may have been replaced between the question and the answer.
    const version = await versions.confirmed(task.model, KEEP_WAIT_MS);
    if (version !== ticket.version) versions.forget(task.model);
    else await answers.keep(ticket.key, task.uuid);
  }

  return {
    get isOn() {
      return options.settings().enabled;
    },
    async ask(submission, payload) {
      const use = cacheUse(submission);
      if (use === "off") return null;
      const version = await versions.current(submission.model, SUBMIT_WAIT_MS);
      const key = version === null ? null : cacheKey(version, submission, payload.sha256);
      const hit = key === null || use === "refresh" ? null : await findHit(key);
      observer.asked(hit === null ? "miss" : "hit");
      return key === null ? null : { key, version: version!, hit };
    },
    async insert(task, hit) {
      const outcome: Outcome = {
        status: "succeeded",
        reason: null,
        errorMessage: null,
        answer: hit,
        finishedAtMs: clock.now(),
      };
      const inserted = await answers.insertAnswered(task, outcome);
      if (!inserted.replayed) observer.completed(inserted.task, outcome);
      return inserted;
    },
    expect(uuid, ticket) {
      if (expected.size < MAX_EXPECTED) expected.set(uuid, ticket);
    },
    heard(task) {
      if (options.changesModel(task.task) && task.status !== "pending") versions.forget(task.model);
      if (!isFinal(task.status)) return;
      const ticket = expected.get(task.uuid);
      if (ticket === undefined) return;
      expected.delete(task.uuid);
      if (task.status !== "succeeded" || task.answer === null || !isKeepable(task.answer)) return;
      void keep(task, ticket).catch((caught: unknown) => {
        logger.warn({ event: "answer_not_kept", err: asSluiceError(caught) }, "an answer could not be kept for others");
      });
    },
  };
}
