/** Promise 5 in numbers: rank, then fair share, then age, and the bound on being passed over. */
import t from "tap";
import { chooseLine, nextLiftMs, rankOf, TURN, turnCost, turnOf } from "../../../sidecar/scheduler/order.js";

const AGEING_MS = 100;

const line = (priority: number, oldestMs: number, served = 0) => ({ priority, oldestMs, served });

t.test("a line gains one rank per ageing, until it stands beside the most urgent", async (t) => {
  const at = (waitedMs: number, best = 2) => rankOf(line(7, 1_000), best, 1_000 + waitedMs, AGEING_MS);
  t.same(
    [0, 99, 100, 499, 500, 5_000].map((ms) => at(ms)),
    [7, 7, 6, 3, 2, 2],
  );
  t.equal(at(5_000, 7), 7, "alone it needs no lift");
  t.equal(at(-10_000), 7, "a clock set back takes nothing away");
  t.equal(nextLiftMs(line(7, 1_000), 2, 1_250, AGEING_MS), 1_300);
  t.equal(nextLiftMs(line(7, 1_000), 2, 1_500, AGEING_MS), null);
  t.equal(nextLiftMs(line(2, 1_000), 2, 1_500, AGEING_MS), null);
});

t.test("the best rank is served first; side by side, whoever was served longest ago", async (t) => {
  t.equal(chooseLine([], 0, AGEING_MS), null);
  const urgent = line(2, 1_000, 9);
  const low = line(5, 900, 3);
  t.equal(chooseLine([low, urgent], 1_000, AGEING_MS), urgent);
  t.equal(
    chooseLine([low, urgent], 1_200, AGEING_MS),
    low,
    "three lifts bring it beside, and it was served longer ago",
  );
  t.equal(chooseLine([{ ...low, served: 10 }, urgent], 1_200, AGEING_MS), urgent, "and they take turns");
  const never = [line(3, 10), line(2, 20), line(2, 5)];
  t.equal(chooseLine(never, 1_000, AGEING_MS), never[2], "never served: the more urgent, then the older");
});

t.test("under a permanent load of urgent work, a low task starts within its lifts and one call", async (t) => {
  const callMs = 40;
  for (const priority of [3, 5, 7, 9]) {
    const low = line(priority, 0);
    let served = 0;
    let urgent = line(0, 0);
    let nowMs = 0;
    for (; nowMs < 20_000; nowMs += callMs) {
      // The urgent backlog is so long that its oldest task has waited for ever, too.
      const chosen = chooseLine([urgent, low], nowMs, AGEING_MS);
      served += 1;
      if (chosen === low) break;
      urgent = { ...urgent, served };
    }
    t.ok(nowMs <= priority * AGEING_MS + callMs, `priority ${priority} started after ${nowMs} ms`);
  }
});

t.test("an old backlog of a low class does not shut out what is urgent: they take turns", async (t) => {
  let served = 0;
  const lines = [line(5, 0), line(2, 1_000_000)];
  const order: number[] = [];
  for (let start = 0; start < 8; start++) {
    const chosen = chooseLine(lines, 1_000_000, AGEING_MS)!;
    served += 1;
    lines[lines.indexOf(chosen)] = { ...chosen, served };
    order.push(chosen.priority);
  }
  t.same(order, [2, 5, 2, 5, 2, 5, 2, 5]);
});

/** A line as the store keeps it: tasks by turn, then by arrival. */
class Line {
  #arrivals = 0;
  #current = 0;
  readonly #next = new Map<string, number>();
  readonly #waiting: { tenant: string; turn: number; seq: number }[] = [];

  arrive(tenant: string, weight = 1): void {
    const turn = turnOf(this.#current, this.#next.get(tenant) ?? null);
    this.#next.set(tenant, turn + turnCost(weight));
    this.#waiting.push({ tenant, turn, seq: this.#arrivals++ });
  }

  start(): string {
    this.#waiting.sort((one, other) => one.turn - other.turn || one.seq - other.seq);
    const { tenant, turn } = this.#waiting.shift()!;
    this.#current = Math.max(this.#current, turn);
    return tenant;
  }
}

t.test("one tenant floods, another's single task is next but one", async (t) => {
  const queue = new Line();
  for (let each = 0; each < 1_000; each++) queue.arrive("flood");
  for (let each = 0; each < 100; each++) queue.start();
  queue.arrive("single");
  t.same([queue.start(), queue.start()].sort(), ["flood", "single"]);
});

t.test("tenants share by weight, and whoever was away gains nothing by it", async (t) => {
  const queue = new Line();
  for (let each = 0; each < 400; each++) {
    queue.arrive("heavy", 3);
    queue.arrive("light", 1);
  }
  const first = Array.from({ length: 200 }, () => queue.start());
  const heavy = first.filter((tenant) => tenant === "heavy").length;
  t.ok(Math.abs(heavy - 150) <= 2, `${heavy} of 200 starts for three shares of four`);
  for (let each = 0; each < 50; each++) queue.arrive("late");
  const then = Array.from({ length: 50 }, () => queue.start());
  const late = then.filter((tenant) => tenant === "late").length;
  t.ok(Math.abs(late - 10) <= 2, `${late} of 50: one share of five, nothing for the past`);
});

t.test("a turn costs by weight, and never nothing", async (t) => {
  t.same([1, 2, 0.5, 100, 1e9].map(turnCost), [TURN, TURN / 2, TURN * 2, 10, 1]);
});
