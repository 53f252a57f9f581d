/** Whether the parts do their work, found out by making them do some. Answers in time even when a disk hangs. */

import { awake, settledWithin } from "../core/runtime/within.js";

/** Resolves when the part works, rejects when it does not. */
export type HealthCheck = () => Promise<unknown>;

export type Verdict = "healthy" | "unhealthy";

export interface Health {
  readonly isHealthy: boolean;
  readonly components: Readonly<Record<string, Verdict>>;
}

/** A part that takes longer counts as unhealthy. */
const CHECK_TIMEOUT_MS = 800;
/** A verdict is given again for this long: probes cost an fsync each. */
const FRESH_MS = 2_000;

/**
 * @param outside named too, but what they say leaves the whole as it is
 * @returns asks all parts at once, at most every two seconds; never rejects
 */
export function createHealth(
  checks: Readonly<Record<string, HealthCheck>>,
  now: () => number,
  outside: Readonly<Record<string, HealthCheck>> = {},
): () => Promise<Health> {
  const askers = Object.entries({ ...checks, ...outside }).map(([name, check]) => ({ name, ask: createAsker(check) }));
  let latest: { readonly atMs: number; readonly health: Promise<Health> } | null = null;

  async function askAll(): Promise<Health> {
    const verdicts = await Promise.all(askers.map(async ({ name, ask }) => [name, await ask()] as const));
    return {
      isHealthy: verdicts.every(([name, verdict]) => verdict === "healthy" || Object.hasOwn(outside, name)),
      components: Object.fromEntries(verdicts),
    };
  }

  return () => {
    if (latest === null || now() - latest.atMs >= FRESH_MS) latest = { atMs: now(), health: askAll() };
    return latest.health;
  };
}

/** A check that hangs is not asked again while it does: a stuck disk must not eat one thread per question. */
function createAsker(check: HealthCheck): () => Promise<Verdict> {
  let running: Promise<Verdict> | null = null;
  return () => {
    running ??= check().then(
      () => "healthy" as const,
      () => "unhealthy" as const,
    );
    const mine = running;
    void mine.then(() => {
      if (running === mine) running = null;
    });
    return settledWithin(awake, CHECK_TIMEOUT_MS, mine, () => "unhealthy" as const);
  };
}
