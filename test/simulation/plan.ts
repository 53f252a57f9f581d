/** What a history is made of, drawn from its seed: models, tasks, faults. Data alone; `history.ts` lets it happen. */
import type { Random } from "./random.js";

export interface PlannedModel {
  readonly name: string;
  /** `ours` is started on demand by Sluice, `static` runs already and somebody else's. */
  readonly kind: "ours" | "static";
  readonly concurrency: number;
  /** From the start of its program to its first good readiness check. */
  readonly warmUpMs: number;
  /** Per call, while the world is not healed: how likely it goes wrong. */
  readonly badness: number;
  /** A training blocks its event loop: it answers nothing else meanwhile. */
  readonly blocksInTraining: boolean;
}

export interface PlannedTask {
  readonly atMs: number;
  readonly model: string;
  readonly task: "process" | "process_bulk" | "train_supervised" | "sanity-check";
  readonly class: string;
  readonly priority: number | null;
  readonly tenant: string | null;
  readonly mode: "held" | "async" | "task";
  readonly deadlineMs: number | null;
  readonly idempotencyKey: string | null;
  readonly bytes: number;
}

export type Fault =
  | { readonly kind: "crash" | "stop" | "handover"; readonly atMs: number; readonly downMs: number }
  | { readonly kind: "pause"; readonly atMs: number; readonly forMs: number }
  | { readonly kind: "jump"; readonly atMs: number; readonly byMs: number }
  | {
      readonly kind: "disk";
      readonly atMs: number;
      readonly forMs: number;
      readonly code: "STORE_FAILED" | "DISK_FULL";
    }
  | { readonly kind: "die"; readonly atMs: number; readonly model: string; readonly downMs: number }
  | { readonly kind: "deaf"; readonly atMs: number; readonly model: string; readonly forMs: number }
  | { readonly kind: "drain" | "bad-start" | "stranger"; readonly atMs: number; readonly model: string }
  | { readonly kind: "vanish"; readonly atMs: number; readonly model: string; readonly forMs: number }
  | { readonly kind: "cancel"; readonly atMs: number; readonly task: number }
  | { readonly kind: "damage"; readonly atMs: number; readonly task: number };

export interface Plan {
  readonly maxConcurrentTasks: number;
  readonly ageingMs: number;
  readonly weights: Readonly<Record<string, number>>;
  readonly startTimeoutMs: number;
  readonly responseTimeoutMs: number;
  /** Longest a commit takes when nothing is wrong. */
  readonly commitMs: number;
  readonly models: readonly PlannedModel[];
  readonly tasks: readonly PlannedTask[];
  readonly faults: readonly Fault[];
  /** From here on nothing goes wrong any more. */
  readonly healedAtMs: number;
}

const CLASSES = {
  process: "interactive",
  process_bulk: "batch",
  train_supervised: "training",
  "sanity-check": "evaluation",
};

/** Seeds from here on give short histories, about half as long: what breaks mostly breaks among few tasks, and a run holds more of them. */
export const SHORT_FROM = 1_000_000;

export function makePlan(random: Random, seed: number): Plan {
  const models = Array.from({ length: random.whole(1, 2) }, (_, at) => planModel(random, `m${at}`));
  const spanMs = random.pick([2_000, 10_000, 40_000]);
  // One in four is calm: order is judged best where nothing else happens.
  const isCalm = random.chance(0.25);
  const isShort = seed >= SHORT_FROM;
  const count = isCalm
    ? random.whole(isShort ? 3 : 5, isShort ? 7 : 12)
    : random.whole(isShort ? 1 : 2, isShort ? 4 : 7);
  const deadlines = random.chance(0.4);
  const tenants = random.pick([[null], [null, "a"], ["a", "b"], ["a", "b", "c"]]);
  const trainings = random.pick([0, 0.1, 0.4]);
  const tasks = Array.from({ length: count }, () =>
    planTask({ random, models, spanMs, deadlines, tenants, trainings }),
  );
  const healedAtMs = spanMs + random.pick([0, 5_000, 30_000]);
  const faults = isCalm ? planCalm(random, count, spanMs) : planFaults(random, { models, count, untilMs: healedAtMs });
  const plan: Plan = {
    maxConcurrentTasks: random.whole(1, 4),
    ageingMs: random.pick([1_000, 10_000, 60_000]),
    weights: random.chance(0.2) ? { a: 3 } : {},
    startTimeoutMs: random.pick([20_000, 60_000]),
    responseTimeoutMs: 30_000,
    commitMs: random.pick([2, 10, 100]),
    models: isCalm ? models.map((model) => ({ ...model, badness: 0 })) : models,
    tasks,
    faults,
    healedAtMs,
  };
  // Drawn last, so that the histories without are what they were before there were any.
  return random.chance(trainings / 2) ? { ...plan, faults: [...faults, planStranger(random, plan)] } : plan;
}

function planModel(random: Random, name: string): PlannedModel {
  return {
    name,
    kind: random.chance(0.5) ? "ours" : "static",
    concurrency: random.pick([1, 1, 2]),
    warmUpMs: random.pick([200, 2_000, 8_000]),
    badness: random.pick([0, 0.2, 0.5]),
    blocksInTraining: random.chance(0.3),
  };
}

interface TaskChoice {
  readonly random: Random;
  readonly models: readonly PlannedModel[];
  readonly spanMs: number;
  readonly deadlines: boolean;
  readonly tenants: readonly (string | null)[];
  readonly trainings: number;
}

function planTask({ random, models, spanMs, deadlines, tenants, trainings }: TaskChoice): PlannedTask {
  const task = random.chance(trainings)
    ? "train_supervised"
    : random.pick(["process", "process", "process_bulk", "sanity-check"] as const);
  return {
    atMs: random.next() * spanMs,
    model: random.pick(models).name,
    task,
    class: CLASSES[task],
    priority: random.chance(0.3) ? random.whole(0, 9) : null,
    tenant: random.pick(tenants),
    mode: random.pick(["held", "async", "task"] as const),
    deadlineMs: deadlines && random.chance(0.4) ? random.pick([500, 3_000, 20_000, 120_000]) : null,
    idempotencyKey: random.chance(0.1) ? random.pick(["k1", "k2"]) : null,
    bytes: random.chance(0.2) ? 200 : 10,
  };
}

/** Often about when a training arrives: it shall find the trainer busy. */
function planStranger(random: Random, { models, tasks, healedAtMs }: Plan): Fault {
  const training = tasks.find(({ task }) => task === "train_supervised");
  if (training === undefined || random.chance(0.3))
    return { kind: "stranger", atMs: random.next() * healedAtMs, model: random.pick(models).name };
  return { kind: "stranger", atMs: Math.max(0, training.atMs - random.whole(1, 3_000)), model: training.model };
}

function planCalm(random: Random, count: number, spanMs: number): Fault[] {
  return random.chance(0.3) ? [{ kind: "cancel", atMs: random.next() * spanMs, task: random.whole(0, count - 1) }] : [];
}

interface FaultSpan {
  readonly models: readonly PlannedModel[];
  readonly count: number;
  readonly untilMs: number;
}

function planFaults(random: Random, span: FaultSpan): Fault[] {
  const faults: Fault[] = [];
  for (let left = random.pick([0, 1, 1, 2, 2, 3, 5]); left > 0; left--) faults.push(planFault(random, span));
  return faults.sort((one, other) => one.atMs - other.atMs);
}

const HOUR_MS = 3_600_000;

function planFault(random: Random, { models, count, untilMs }: FaultSpan): Fault {
  const atMs = random.next() * untilMs;
  const model = random.pick(models).name;
  const task = random.whole(0, count - 1);
  const briefMs = random.pick([50, 1_000, 5_000]);
  const longMs = random.pick([1_000, 3_000, 20_000, 90_000]);
  switch (random.whole(0, 13)) {
    case 0:
    case 1:
    case 2:
      return { kind: "crash", atMs, downMs: briefMs };
    case 3:
      return { kind: "stop", atMs, downMs: briefMs };
    case 4:
      return { kind: "pause", atMs, forMs: longMs };
    case 5:
      return { kind: "jump", atMs, byMs: random.pick([-5, -1, 1, 5]) * random.pick([1_000, HOUR_MS]) };
    case 6:
      return { kind: "disk", atMs, forMs: briefMs, code: random.pick(["STORE_FAILED", "DISK_FULL"] as const) };
    case 7:
      return { kind: "die", atMs, model, downMs: longMs };
    case 8:
      return { kind: "deaf", atMs, model, forMs: longMs };
    case 9: {
      // Nobody asks us to end what is not ours.
      const ours = models.filter(({ kind }) => kind === "ours").map(({ name }) => name);
      return ours.length === 0 ? { kind: "jump", atMs, byMs: 100 } : { kind: "drain", atMs, model: random.pick(ours) };
    }
    case 10:
      return random.chance(0.5) ? { kind: "bad-start", atMs, model } : { kind: "vanish", atMs, model, forMs: longMs };
    case 11:
    case 12:
      return { kind: "cancel", atMs, task };
    default:
      return random.chance(0.3) ? { kind: "damage", atMs, task } : { kind: "handover", atMs, downMs: briefMs };
  }
}
