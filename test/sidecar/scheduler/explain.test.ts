import t from "tap";
import {
  explainWait,
  summarizeRun,
  summarizeWait,
  tellStart,
  type WaitState,
} from "../../../sidecar/scheduler/explain.js";
import type { PermitState } from "../../../sidecar/scheduler/limiter.js";

const NOW = Date.UTC(2026, 0, 2, 3, 4, 5);
const FREE: PermitState = {
  global: { running: 0, limit: 4 },
  model: { running: 0, limit: 1 },
  training: { running: 0, limit: 1 },
  budget: null,
  rate: { inMs: 0, rate: null, left: 1 },
};
const READY = { name: "m", state: "ready", onDemand: true, problem: null } as const;
const state = (change: Partial<WaitState> = {}): WaitState => ({
  nowMs: NOW,
  task: { model: "m", class: "batch", attempt: 0, notBeforeMs: 0, errorMessage: null },
  training: false,
  position: 0,
  model: READY,
  step: "dispatch",
  permits: FREE,
  expected: { startMs: null, modelMs: null, slotMs: null, globalMs: null },
  ...change,
});
const codes = (change: Partial<WaitState>) => explainWait(state(change)).map(({ code }) => code);
const expecting = (change: Partial<WaitState["expected"]>) => ({ expected: { ...state().expected, ...change } });

t.test("a task that nothing holds up is about to start", async (t) => {
  t.same(explainWait(state()), []);
  t.equal(summarizeWait([], 0), "Nothing holds it up: it is about to start.");
});

t.test("a model that is not there, starts, stops or is silent is named, with what is done about it", async (t) => {
  const of = (name: string, modelState: string, step: WaitState["step"], onDemand = true) =>
    codes({ model: { ...READY, name, state: modelState as "ready", onDemand }, step });
  t.same(codes({ model: undefined, step: "wait" }), ["model_unknown"]);
  t.same(codes({ model: undefined, step: "fail" }), ["model_unknown"]);
  t.same(of("m", "absent", "start"), ["model_starting"]);
  t.same(of("m", "starting", "start"), ["model_starting"]);
  t.same(of("m", "starting", "wait", false), ["model_starting"], "a static one that has not answered yet");
  t.same(of("m", "draining", "wait"), ["draining"]);
  t.same(of("m", "unreachable", "wait", false), ["model_away"]);
  const [failed] = explainWait(
    state({
      model: { ...READY, state: "failed", problem: "it died" },
      step: "start",
      ...expecting({ modelMs: 9_000 }),
    }),
  );
  t.match(failed, { until: "2026-01-02T03:04:14+00:00", message: /started again; the last start failed/ });
});

t.test("a retry waits for its time, and says what put the last attempt back", async (t) => {
  const task = { ...state().task, attempt: 2, notBeforeMs: NOW + 60_000, errorMessage: "the trainer is busy" };
  t.same(explainWait(state({ task })), [
    {
      what: "its next attempt's time",
      code: "not_before",
      until: "2026-01-02T03:05:05+00:00",
      message:
        "Attempt 3 does not begin before 2026-01-02T03:05:05+00:00. The last one was put back: the trainer is busy",
    },
  ]);
  t.same(codes({ task: { ...task, notBeforeMs: NOW } }), [], "its time has come");
});

t.test("used-up budgets and rate limits are over with their refresh at the latest", async (t) => {
  const permits = (left: number, inMs: number): PermitState => ({
    ...FREE,
    budget: { left, refill: { amount: 90, everyMs: 60_000 } },
    rate: { inMs, rate: { amount: 45, perMs: 60_000 }, left: 0 },
  });
  t.same(codes({ permits: permits(0, 1_000) }), ["class_budget", "rate_limit"]);
  t.same(codes({ permits: permits(0, 1_000), training: true }), ["class_budget"], "trainings have no rate");
  t.same(codes({ permits: permits(1, 0) }), []);
  const [budget, rate] = explainWait(state({ permits: permits(0, 1_000) }));
  t.match(budget, {
    what: "the budget of class 'batch'",
    until: "2026-01-02T03:05:05+00:00",
    message: "All starts that the budget of class 'batch' allows have been used; 90 come every 60 s.",
  });
  t.match(rate, { until: "2026-01-02T03:04:06+00:00", message: /takes 45 calls per 60 s/ });
});

t.test("a limiter that does not answer is Redis, and nothing is said of slots", async (t) => {
  t.same(codes({ permits: null, position: 2 }), ["redis", "ahead"]);
  t.equal(tellStart(state(expecting({ startMs: 0 }))), 0);
  t.equal(tellStart(state({ permits: null, ...expecting({ startMs: 0 }) })), null, "nor when it starts");
});

t.test("slots that are taken are counted: the training's, the model's, those of all", async (t) => {
  const permits: PermitState = {
    ...FREE,
    global: { running: 4, limit: 4 },
    model: { running: 1, limit: 1 },
    training: { running: 1, limit: 1 },
  };
  t.same(codes({ permits }), ["model_slot", "global_slot"], "a training's slot is no matter of a call");
  t.same(codes({ permits, training: true }), ["training_slot", "model_slot", "global_slot"]);
  const [model, global] = explainWait(state({ permits, ...expecting({ slotMs: 2_500, globalMs: 1_000 }) }));
  t.match(model, { message: "1 call runs on model 'm', as many as it takes at a time.", until: /03:04:07\.5/ });
  t.match(global, { message: /^4 calls run over all models/, until: "2026-01-02T03:04:06+00:00" });
});

t.test("one sentence tells it all, and when it starts", async (t) => {
  const permits: PermitState = { ...FREE, model: { running: 1, limit: 1 } };
  const waitingFor = explainWait(state({ permits, position: 3 }));
  t.equal(
    summarizeWait(waitingFor, 40_000),
    "It waits for 3 tasks that go before it and a slot of model 'm'; it starts in about 40 s.",
  );
  t.equal(
    summarizeWait(explainWait(state({ position: 1 })), null),
    "It waits for 1 task that goes before it; when it starts cannot be told yet.",
  );
  t.match(summarizeWait(waitingFor, 600_000), /in about 10 min\.$/);
  t.match(summarizeWait(waitingFor, 2 * 3_600_000), /in about 2 h\.$/);
});

t.test("what runs says since when, what ended says how", async (t) => {
  const task = { model: "m", attempt: 2, reason: null, errorMessage: null, finishedAtMs: NOW } as const;
  t.equal(
    summarizeRun({ ...task, status: "scheduled" }, NOW),
    "Model 'm' has it since 2026-01-02T03:04:05+00:00, attempt 2.",
  );
  t.match(summarizeRun({ ...task, status: "running" }, NOW), /^Its training runs on model 'm' since 2026/);
  t.equal(
    summarizeRun({ ...task, status: "succeeded" }, null),
    "It succeeded at 2026-01-02T03:04:05+00:00, after 2 attempts.",
  );
  t.match(summarizeRun({ ...task, attempt: 0, status: "failed", reason: "expired" }, null), /, before it was started$/);
  const failed = { ...task, attempt: 1, status: "failed", reason: "rejected", errorMessage: "bad JSON" } as const;
  t.equal(summarizeRun(failed, null), "It failed (rejected) at 2026-01-02T03:04:05+00:00, after 1 attempt: bad JSON");
});
