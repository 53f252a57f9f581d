import t from "tap";
import { type LearnedRate, lowered, MAX_AMOUNT, raised, waitMs, windowMs } from "../../../sidecar/scheduler/rate.js";

t.test("no window of the server ever holds more than the rate, whatever the times of asking", async (t) => {
  let seed = 7;
  const random = () => {
    seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
    return seed / 2 ** 31;
  };
  for (let history = 0; history < 200; history++) {
    const rate = { amount: 1 + Math.floor(random() * 5), perMs: 1_000 };
    const starts: number[] = [];
    for (let nowMs = 0; starts.length < 60; nowMs += random() * 300) {
      nowMs += waitMs(starts, rate, nowMs);
      starts.push(nowMs);
    }
    const crowded = starts.findIndex((each, index) => starts[index + rate.amount]! - each <= rate.perMs);
    t.equal(crowded, -1, `history ${history}`);
  }
});

t.test("the window is a little longer than the server's, because calls travel for unequal times", async (t) => {
  t.same([1_000, 10_000, 60_000, 3_600_000].map(windowMs), [1_050, 10_200, 61_000, 3_601_000]);
});

t.test("a refusal lowers the rate to what was taken, never below one, never above what it was", async (t) => {
  t.same(lowered(90, null, 5), { amount: 90, perMs: 60_000, sinceMs: 5 });
  t.same(lowered(0, null, 5), { amount: 1, perMs: 60_000, sinceMs: 5 });
  t.same(lowered(90, { amount: 180, perMs: 30_000 }, 5), { amount: 90, perMs: 30_000, sinceMs: 5 });
  t.equal(lowered(90, { amount: 45, perMs: 1_000 }, 5).amount, 45);
});

t.test("after three quiet windows a learned rate is raised by a quarter, until nothing is left of it", async (t) => {
  const learned: LearnedRate = { amount: 40, perMs: 1_000, sinceMs: 0 };
  t.equal(raised(learned, null, 2_999), learned);
  t.same(raised(learned, null, 3_000), { amount: 50, perMs: 1_000, sinceMs: 3_000 });
  t.same(raised(learned, null, 6_500), { amount: 62, perMs: 1_000, sinceMs: 6_000 });
  t.same(raised({ ...learned, amount: 1 }, null, 3_000)?.amount, 2, "at least one more");
  t.equal(raised(learned, { amount: 50, perMs: 1_000 }, 3_000), null, "the configured rate holds again");
  t.equal(raised(learned, null, 1e9), null, `above ${MAX_AMOUNT} it limits nothing`);
});
