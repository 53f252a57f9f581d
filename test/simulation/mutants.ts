/**
 * Faults planted in the compiled scheduler, one at a time; the checker must find each. `find` stands exactly once in its file. When the
 * code changes and a text is found no more, choose another one for the same fault.
 */
export interface Mutant {
  readonly name: string;
  /** Below `sidecar/`, without its extension. */
  readonly file: string;
  readonly find: string;
  readonly replace: string;
  /** A seed that shows it, where it is a rare one. Default: the first. */
  readonly from?: number;
}

export const MUTANTS: readonly Mutant[] = [
  {
    name: "a training is sent again after its connection was cut",
    file: "scheduler/retry",
    find: "return trouble.sent;",
    replace: "return false;",
  },
  {
    name: "failures are tried again without end",
    file: "scheduler/retry",
    find: "times >= rule.times",
    replace: "false",
  },
  {
    name: "what a model server rejects is sent again",
    file: "scheduler/retry",
    find: '"timeout" : null;',
    replace: '"timeout" : "bad_gateway";',
  },
  {
    name: "pauses and Retry-After are ignored",
    file: "scheduler/retry",
    find: "return Math.max(askedMs,",
    replace: "return Math.min(askedMs,",
  },
  {
    name: "a training that a crash interrupted is sent again",
    file: "scheduler/attempt",
    find: "return trainings.lookFor(task, lost(UNKNOWN_AFTER_CRASH), signal);",
    replace: "return settler.requeue(task, 0, CRASHED, signal);",
  },
  {
    name: "an answer is written without its attempt's fence",
    file: "scheduler/settle",
    find: "store.finish(task.uuid, task.attempt, outcome)",
    replace: "store.finish(task.uuid, store.get(task.uuid).attempt, outcome)",
  },
  {
    name: "an error of the model server counts as success",
    file: "scheduler/outcome",
    find: "(isTraining(task.task) ? 300 : 400)",
    replace: "600",
  },
  {
    name: "a training's result is not stored before it is final",
    file: "scheduler/training-attempt",
    find: "await settler.persist(task, signal, () => storeBytes(blobs, bytes))",
    replace: '{ kind: "blob", key: "not yet", size: bytes.length, sha256: "" }',
  },
  {
    name: "a training gives its slot back when it is accepted",
    file: "scheduler/attempt",
    find: "permit.releaseCall();\n            return trainings.accept(",
    replace: "permit.release();\n            return trainings.accept(",
  },
  {
    name: "a running task's lease is given back at once",
    file: "scheduler/attempt",
    find: "await work();",
    replace: "release(); await work();",
  },
  {
    name: "a cancelled training ends as a failure",
    file: "scheduler/training-attempt",
    find: "isCancelAsked: cancellations.isAsked(task)",
    replace: "isCancelAsked: false",
  },
  {
    name: "a cancellation is said to be accepted and was not passed on",
    file: "scheduler/cancel-training",
    find: "await send(task, url)",
    replace: '{ accepted: true, message: "", isCertain: true }',
  },
  {
    name: "a busy trainer is asked again at once",
    file: "scheduler/training-attempt",
    find: 'decideRetry({ kind: "busy" }, times, false, Math.random())',
    replace: "100",
  },
  {
    name: "a task that may wait for a busy trainer is refused like a held one",
    file: "scheduler/busy",
    find: 'task.mode === "held"',
    replace: "true",
  },
  {
    name: "a training whose answer was lost is not looked for",
    file: "scheduler/training",
    find: "return look.run;",
    replace: "return null;",
  },
  {
    name: "a run whose server is gone is waited for like one that is silent",
    file: "scheduler/run-patience",
    find: "nowMs - goneSinceMs >= lostAfterMs",
    replace: "false",
  },
  {
    name: "a run that a former process marked as running is followed by nobody",
    file: "scheduler/training-attempt",
    find: "await settler.persist(task, signal, write);",
    replace: "if (!(await settler.persist(task, signal, write))) return;",
    from: 7_424,
  },
  {
    name: "how long a run has lasted is asked of a clock that may be set",
    file: "scheduler/training-attempt",
    find: "await follow(now, 0, signal);",
    replace: "await follow(now, Math.max(0, clock.now() - (await attemptStartMs(task, signal))), signal);",
    from: 19_243,
  },
  {
    name: "a silent server's run is given up like one that is gone",
    file: "scheduler/run-patience",
    find: "Math.max(MUTED_AFTER_MS, lostAfterMs)",
    replace: "lostAfterMs",
  },
  {
    name: "deadlines are not looked at",
    file: "scheduler/dispatch",
    find: "await store.expire(nowMs)",
    replace: "[]",
  },
  {
    name: "waiting tasks hold no lease",
    file: "scheduler/dispatch",
    find: 'catalogue.lease(model, "waiting tasks")',
    replace: "() => {}",
  },
  {
    name: "a permit is given back before its call",
    file: "scheduler/dispatch",
    find: "await attempts.run(claim, permit, abort.signal);",
    replace: "permit.release(); await attempts.run(claim, permit, abort.signal);",
  },
  {
    name: "a permit is never given back",
    file: "scheduler/dispatch",
    find: "            permit.release();\n",
    replace: "",
  },
  {
    name: "a store that fails is asked again at once",
    file: "scheduler/dispatch",
    find: "pausedUntilMs = clock.elapsed() + STORE_PAUSE_MS;",
    replace: "",
  },
  {
    name: "a permit sees only the lanes that were asked for",
    file: "scheduler/dispatch",
    find: "laneOf(each.model, each.class);",
    replace: ";",
    from: 28_625,
  },
  {
    name: "what a crash left is not taken up",
    file: "scheduler/dispatch",
    find: "recover(claim);",
    replace: "void claim;",
  },
  {
    name: "waiting makes nobody more urgent",
    file: "scheduler/order",
    find: "Math.floor(Math.max(0, nowMs - line.oldestMs) / ageingMs)",
    replace: "0",
  },
  {
    name: "lines beside each other take no turns",
    file: "scheduler/order",
    find: "if (one.served !== other.served)",
    replace: "if (false)",
  },
  {
    name: "who floods a line goes on before the others",
    file: "scheduler/order",
    find: "return Math.max(current, next ?? 0);",
    replace: "return current;",
  },
  {
    name: "a server is stopped though it is held",
    file: "models/server",
    find: "if (!this.isHeld)\n",
    replace: "if (true)",
  },
  {
    name: "a server found in a training is given up after a minute",
    file: "models/reachability",
    find: "LONGEST_SILENCE_MS = 3_600_000",
    replace: "LONGEST_SILENCE_MS = 60_000",
    from: 112_661,
  },
  {
    name: "how long a start takes is asked of a clock that may be set",
    file: "models/server",
    find: "advance(before, event, this.#options.clock.elapsed()",
    replace: "advance(before, event, this.#options.clock.now()",
    from: 100_687,
  },
  {
    name: "a stop is not called off for those who wait",
    file: "models/lifecycle",
    find: "event.held && life.before !== null",
    replace: "false",
  },
];
