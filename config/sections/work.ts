/** `scheduler`, `tasks` and `ripper`: how heavy work is ordered, bounded and cleared away. */
import { z } from "zod";
import { DEFAULT_ROUTES, ROUTE_MODES } from "../../core/contract/routes.js";
import { count, duration, LONGEST_AGE_MS, priority, size } from "./values.js";

const reservoir = z
  .strictObject({
    amount: count().describe("Starts there are at first, and with refresh after each one"),
    refresh: duration(1)
      .nullable()
      .default(null)
      .describe("How often the amount is made full again, in steps of 250 ms; null: increase instead"),
    increase: z
      .strictObject({
        amount: count().describe("Starts added each time"),
        every: duration(1).describe("How often they are added, in steps of 250 ms"),
        maximum: count().describe("Never more than these are saved up"),
      })
      .nullable()
      .default(null)
      .describe("Adds starts bit by bit; null: refresh instead"),
  })
  .refine(({ refresh, increase }) => refresh !== null || increase !== null, {
    error: "needs either refresh or increase",
  })
  .refine(({ refresh, increase }) => refresh === null || increase === null, {
    error: "takes either refresh or increase, not both",
  });

const schedulerClass = z.strictObject({
  priority: priority().describe("0 (most urgent) to 9"),
  bounds: z.tuple([priority(), priority()]).default([0, 9]).describe("X-Sluice-Priority is clamped to these"),
  deadline: duration(1, LONGEST_AGE_MS).nullable().default(null).describe("How long a task may wait; null: for ever"),
  reservoir: reservoir
    .nullable()
    .default(null)
    .describe("The class's budget of starts; needs either refresh or increase; null: none"),
});

/** Always there; an entry of the same name takes the place of one. */
export const DEFAULT_CLASSES = {
  interactive: { priority: 2 },
  batch: { priority: 5 },
  evaluation: { priority: 6 },
  training: { priority: 7 },
} as const;

const routeRule = z.strictObject({
  mode: z.enum(ROUTE_MODES).describe("light: straight through; queue: written down first; gate: waits for its turn"),
  class: z.string().min(1).default("interactive").describe("One of scheduler.classes"),
});

export const scheduler = z.strictObject({
  max_concurrent_tasks: count().default(4).describe("Queued and gated calls at a time, over all models"),
  classes: z
    .record(z.string().min(1), schedulerClass)
    .default({})
    .transform((given) => ({
      ...Object.fromEntries(Object.entries(DEFAULT_CLASSES).map(([name, each]) => [name, schedulerClass.parse(each)])),
      ...given,
    }))
    .describe("Added to, or in place of, interactive 2, batch 5, evaluation 6, training 7"),
  routes: z
    .record(z.string().min(1), routeRule)
    .default({})
    .transform((given) => ({ ...DEFAULT_ROUTES, ...given }))
    .describe("Which requests are queued or gated, by path below the model; added to the default table"),
  ageing: duration(1_000)
    .prefault("60s")
    .describe(
      "What waits gains one rank per this, until it stands beside the most urgent; nothing is passed over for 9 of these",
    ),
  tenants: z
    .record(
      z.string().regex(/^[\w.@-]{1,64}$/, "must be 1 to 64 letters, digits or the characters _ . @ -"),
      z.strictObject({
        weight: z.number().min(0.01).max(100).default(1).describe("Starts relative to a tenant of weight 1"),
      }),
    )
    .default({})
    .describe("Shares of the tenants that X-Sluice-Tenant names; who is not listed has weight 1"),
  lost_after: duration(1_000)
    .prefault("60s")
    .describe("A training whose model server, or whose run, is gone for this long is lost"),
  training_limit: duration(1_000, LONGEST_AGE_MS)
    .nullable()
    .prefault("7d")
    .describe("A run that is not final this long after it was started is lost; null: no limit"),
  queue: z
    .strictObject({
      max_tasks: count().default(100_000).describe("Tasks that may wait"),
      max_bytes: size().prefault("10GiB").describe("Bytes of payload that may wait"),
    })
    .prefault({})
    .describe("Bounds on what waits; above them 429"),
});

export const tasks = z.strictObject({
  cancel_on_hang_up: z.boolean().default(true).describe("A caller that hangs up cancels its task while it still waits"),
});

export const ripper = z.strictObject({
  interval: duration(1_000).prefault("60s").describe("Between looks for models that are past their time"),
});
