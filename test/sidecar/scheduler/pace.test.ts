import t from "tap";
import { Pace, type Run } from "../../../sidecar/scheduler/pace.js";

const LANE = { model: "m", class: "batch" };
const run = (change: Partial<Run> = {}): Run => ({ ...LANE, sinceMs: 0, training: false, isCall: true, ...change });
const TERMS = { hadToWait: false, limit: 4, refreshMs: null };

t.test("a lane's run time is the mean of its runs that came to an end of their own", async (t) => {
  const pace = new Pace();
  t.equal(pace.runMs(LANE), null);
  pace.started("a", run(), TERMS);
  t.equal(pace.holders(run()).length, 1);
  pace.ended("a", 800, true);
  pace.started("b", run({ sinceMs: 1_000 }), TERMS);
  pace.ended("b", 90_000, false);
  pace.ended("never started", 5, true);
  t.equal(pace.runMs(LANE), 800);
  t.equal(pace.holders(run()).length, 0);
  t.equal(pace.runMs({ ...LANE, class: "interactive" }), null, "another class is another lane");
});

t.test("how many run together is learned from starts that had to wait", async (t) => {
  const pace = new Pace();
  t.equal(pace.together(LANE, 4), 4, "the limit until something is known");
  for (let at = 0; at < 20; at++) {
    pace.started(`${at}`, run({ sinceMs: at }), { ...TERMS, hadToWait: true });
    pace.ended(`${at}`, at + 1, true);
  }
  t.equal(pace.together(LANE, 4), 1, "other models take the other slots");
  t.equal(pace.together({ ...LANE, model: "n" }, 2), 2);
});

t.test("an accepted training holds its model's training slot, and no call's", async (t) => {
  const pace = new Pace();
  pace.started("t", run({ class: "training", training: true }), TERMS);
  t.equal(pace.holders({ model: "m", training: false }).length, 1, "while it is handed over it is a call");
  pace.accepted("t");
  t.equal(pace.holders({ model: "m", training: false }).length, 0);
  t.equal(pace.holders({ model: "m", training: true }).length, 1);
  t.equal(pace.calls().length, 0);
});

t.test("a model's start is measured from the first sign of it to its readiness", async (t) => {
  const pace = new Pace();
  t.equal(pace.coldStartMs("m", 0), null);
  pace.modelSeen("m", "absent", 0);
  pace.modelSeen("m", "starting", 1_000);
  pace.modelSeen("m", "starting", 2_000);
  pace.modelSeen("m", "ready", 6_000);
  t.equal(pace.coldStartMs("m", 9_000), 5_000, "as long again when it is absent");
  pace.modelSeen("m", "starting", 10_000);
  t.equal(pace.coldStartMs("m", 12_000), 3_000);
  pace.modelSeen("m", "failed", 13_000);
  t.equal(pace.coldStartMs("m", 14_000), 5_000, "a failed start is no sample");
});

t.test("a class's budget is what its starts left of it, until it is full again", async (t) => {
  const pace = new Pace();
  const budget = { amount: 2, everyMs: 1_000 };
  const left = (nowMs: number) => pace.budget("batch", budget, nowMs);
  t.match(left(0), { left: 2 });
  for (const sinceMs of [100, 200, 300]) pace.started(`${sinceMs}`, run({ sinceMs }), { ...TERMS, refreshMs: 1_000 });
  t.match(left(400), { left: 0, untilRefreshMs: 700 });
  t.match(left(1_100), { left: 2 });
  pace.started("next", run({ sinceMs: 1_200 }), { ...TERMS, refreshMs: 1_000 });
  t.match(left(1_300), { left: 1, untilRefreshMs: 900 });
});

t.test("lanes longest unused are forgotten first", async (t) => {
  const pace = new Pace();
  pace.learnRun(LANE, 1);
  for (let each = 0; each < 2_500; each++) {
    pace.learnRun({ model: `m${each}`, class: "batch" }, 5);
    if (each % 100 === 0) pace.runMs(LANE);
  }
  t.equal(pace.runMs(LANE), 1, "it was asked for all the time");
  t.equal(pace.runMs({ model: "m0", class: "batch" }), null);
});
