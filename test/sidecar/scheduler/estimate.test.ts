import t from "tap";
import {
  blend,
  estimateBudgetMs,
  estimateRemainingMs,
  estimateSlotMs,
  estimateStartMs,
  type Prospect,
} from "../../../sidecar/scheduler/estimate.js";

const prospect = (change: Partial<Prospect> = {}): Prospect => ({
  position: 0,
  notBeforeMs: 0,
  modelMs: 0,
  globalMs: 0,
  slots: 1,
  remainingMs: [],
  runMs: 1_000,
  budgets: [],
  ...change,
});

t.test("a task with a free slot starts at once, even when nothing was ever learned", async (t) => {
  t.equal(estimateStartMs(prospect({ runMs: null })), 0);
  t.equal(estimateStartMs(prospect({ runMs: null, slots: 3, remainingMs: [null], position: 1 })), 0);
  t.equal(estimateStartMs(prospect({ runMs: null, slots: 3, remainingMs: [null], position: 2 })), null);
  t.equal(estimateStartMs(prospect({ runMs: null, position: 1 })), null);
});

t.test("slots come free one after the other, then again a run later", async (t) => {
  const at = (position: number) => estimateSlotMs(prospect({ slots: 2, remainingMs: [900, 300], position }));
  t.same([0, 1, 2, 3, 4].map(at), [300, 900, 1_300, 1_900, 2_300]);
  t.equal(estimateSlotMs(prospect({ slots: 2, remainingMs: [700], position: 1 })), 700, "one is free");
  t.equal(estimateSlotMs(prospect({ remainingMs: [null] })), 1_000, "one of which nothing is known runs the mean");
});

t.test("after the limit was lowered the first calls to end free no slot", async (t) => {
  t.equal(estimateSlotMs(prospect({ slots: 1, remainingMs: [100, 300, 200] })), 300);
});

t.test("a million tasks before it cost no more than one", async (t) => {
  t.equal(estimateStartMs(prospect({ position: 1_000_000, slots: 4 })), 250_000_000);
});

t.test("the latest of all it waits for counts; one that cannot be told makes all unknown", async (t) => {
  t.equal(estimateStartMs(prospect({ notBeforeMs: 5_000, position: 2 })), 5_000);
  t.equal(estimateStartMs(prospect({ notBeforeMs: -5_000 })), 0);
  t.equal(estimateStartMs(prospect({ modelMs: 3_000, position: 2 })), 5_000, "runs begin when the model is there");
  t.equal(estimateStartMs(prospect({ globalMs: 7_000, position: 2 })), 7_000);
  t.equal(estimateStartMs(prospect({ modelMs: null })), null);
  t.equal(estimateStartMs(prospect({ globalMs: null })), null);
});

t.test("a budget lets start what is left, then its amount per refresh", async (t) => {
  const budget = { left: 2, amount: 10, refreshMs: 60_000, untilRefreshMs: 20_000 };
  const at = (position: number) => estimateBudgetMs(budget, position);
  t.same([0, 1, 2, 11, 12, 22].map(at), [0, 0, 20_000, 20_000, 80_000, 140_000]);
  t.equal(estimateStartMs(prospect({ position: 12, budgets: [budget] })), 80_000);
});

t.test("what has outlasted its mean is thought to go on, the longer the more", async (t) => {
  t.equal(estimateRemainingMs(1_000, 400), 600);
  t.equal(estimateRemainingMs(1_000, 1_000), 100);
  t.equal(estimateRemainingMs(1_000, 60_000), 6_000);
  t.equal(estimateRemainingMs(null, 5), null);
});

t.test("the mean follows what is new", async (t) => {
  t.equal(blend(null, 500), 500);
  let mean: number | null = 100;
  for (let run = 0; run < 30; run++) mean = blend(mean, 1_000);
  t.ok(mean! > 950 && mean! < 1_000, `${mean}`);
});
