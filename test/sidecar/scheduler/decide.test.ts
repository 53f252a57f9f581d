import t from "tap";
import { MODEL_STATES } from "../../../core/contract/models.js";
import { DEFAULT_ROUTES } from "../../../core/contract/routes.js";
import {
  decideModelStep,
  isStartDue,
  isTraining,
  planPermits,
  rankLines,
  trainingClasses,
} from "../../../sidecar/scheduler/decide.js";

const none = new Array<number>(10).fill(0);
const outstanding = (byRank: Record<number, number>) => none.map((_, rank) => byRank[rank] ?? 0);

t.test("a lane asks for as many permits as it could use, and no more", async (t) => {
  t.same(planPermits([], none, 4), []);
  t.same(planPermits([{ rank: 5, due: 1 }], none, 4), [{ rank: 5, count: 1 }]);
  t.same(planPermits([{ rank: 5, due: 100 }], none, 4), [{ rank: 5, count: 4 }]);
  t.same(planPermits([{ rank: 5, due: 100 }], outstanding({ 5: 4 }), 4), []);
  t.same(planPermits([{ rank: 5, due: 100 }], outstanding({ 5: 3 }), 4), [{ rank: 5, count: 1 }]);
});

t.test("a late urgent task gets a request of its own although the lane has asked already", async (t) => {
  const lane = [
    { rank: 5, due: 1_000 },
    { rank: 0, due: 1 },
  ];
  t.same(planPermits(lane, outstanding({ 5: 1 }), 1), [{ rank: 0, count: 1 }]);
  t.same(planPermits(lane, outstanding({ 0: 1, 5: 1 }), 1), [], "and only one");
});

t.test("an urgent request that is asked for serves the less urgent tasks too", async (t) => {
  t.same(planPermits([{ rank: 5, due: 3 }], outstanding({ 0: 2 }), 2), []);
});

t.test("requests never outnumber ten per slot, whatever arrives in whatever order", async (t) => {
  const asked = [...none];
  const due = [...none];
  for (let round = 0; round < 5_000; round++) {
    due[(round * 7) % 10]! += 1;
    const lane = due.map((count, rank) => ({ rank, due: count }));
    for (const { rank, count } of planPermits(lane, asked, 2)) asked[rank]! += count;
  }
  t.ok(asked.reduce((sum, each) => sum + each, 0) <= 20);
});

t.test("what happens to a model's due tasks, for every state", async (t) => {
  const steps = Object.fromEntries(
    MODEL_STATES.map((state) => [state, [decideModelStep(state, true, 0, 1), decideModelStep(state, false, 0, 1)]]),
  );
  t.same(steps, {
    absent: ["start", "wait"],
    starting: ["start", "wait"],
    ready: ["dispatch", "dispatch"],
    draining: ["start", "wait"],
    unreachable: ["start", "wait"],
    failed: ["start", "wait"],
  });
  t.equal(decideModelStep(undefined, false, 999, 1_000), "wait", "a container that restarts is away for a moment");
  t.equal(decideModelStep(undefined, false, 1_000, 1_000), "fail");
});

t.test("only classes all of whose routes are trainings hold training slots", async (t) => {
  t.same([...trainingClasses(DEFAULT_ROUTES)], ["training"]);
  const mixed = { ...DEFAULT_ROUTES, process_bulk: { mode: "queue", class: "training" } as const };
  t.same([...trainingClasses(mixed)], [], "a class that also has inference is not one");
  const moved = { ...DEFAULT_ROUTES, evaluate: { mode: "queue", class: "batch" } as const };
  t.same([...trainingClasses(moved)], ["training"]);
  t.ok(isTraining("train_supervised"));
  t.ok(isTraining("evaluate"));
  t.notOk(isTraining("process"));
  t.notOk(isTraining("toString"));
});

t.test("what is due is ranked over all models, and it is told when a rank improves by itself", async (t) => {
  const line = (model: string, priority: number, oldestMs: number | null, due = 1) => ({
    model,
    class: "c",
    priority,
    due,
    nextDueMs: null,
    oldestMs,
  });
  const at = { nowMs: 1_000, ageingMs: 100, gateUrgency: Number.POSITIVE_INFINITY };
  const ranked = rankLines([line("a", 2, 900), line("b", 7, 500), line("b", 9, null, 0)], at);
  t.same(
    ranked.lines.map(({ model, rank }) => [model, rank]),
    [
      ["a", 2],
      ["b", 2],
    ],
    "five lifts bring 7 beside 2; what is not due is left out",
  );
  t.match(ranked, { urgency: 2, nextLiftMs: Number.POSITIVE_INFINITY });
  t.equal(rankLines([line("a", 2, 900), line("b", 7, 850)], at).nextLiftMs, 1_050);
  t.equal(rankLines([line("b", 7, 500)], { ...at, gateUrgency: 4 }).lines[0]?.rank, 4, "gated requests count too");
  t.match(rankLines([], at), { lines: [], nextLiftMs: Number.POSITIVE_INFINITY });
});

t.test("work is grouped by loaded model while every slot is taken, for as long as ageing at most", async (t) => {
  const question = { rank: 5, waitedMs: 0, ageingMs: 100, loadedRank: 5, hasFreeSlot: false };
  t.equal(isStartDue(question), false);
  t.equal(isStartDue({ ...question, hasFreeSlot: true }), true);
  t.equal(isStartDue({ ...question, loadedRank: null }), true, "nothing waits for a loaded model");
  t.equal(isStartDue({ ...question, rank: 4 }), true, "it is more urgent");
  t.equal(isStartDue({ ...question, waitedMs: 100 }), true, "it has waited long enough");
});
