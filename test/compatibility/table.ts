/** Tables of what CogStack Model Gateway's clients rely on: each row is a claim, and a check that asks a running Sluice. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Test } from "tap";
import { type Bench, type BenchConfig, startBench } from "./bench.js";

/** @typeParam Asked what the check asks; most ask a running Sluice */
export interface Row<Asked = Bench> {
  /** Unique over all tables; a name that stays. */
  readonly id: string;
  /** What CogStack Model Gateway does, in one line. */
  readonly says: string;
  /** Where Sluice goes another way on purpose: what it does instead, and why. The check then holds that. */
  readonly differs?: string;
  readonly check: (t: Test, asked: Asked) => unknown;
}

export interface Table<Asked = Bench> {
  readonly id: string;
  readonly title: string;
  /** How the bench is configured; without it as it comes. */
  readonly config?: BenchConfig;
  readonly rows: readonly Row<Asked>[];
}

/** Row by its id: true when it held. */
export type Outcomes = Readonly<Record<string, boolean>>;

/** Where the generator of the page wants the outcomes, a file per table. */
export const OUTCOMES_VARIABLE = "SLUICE_COMPATIBILITY_OUTCOMES";

/** Holds every row against one Sluice, in their order. */
export async function holdTable(t: Test, table: Table): Promise<void> {
  await holdRows(t, table, await startBench(t, table.config));
}

export async function holdRows<Asked>(t: Test, table: Table<Asked>, asked: Asked): Promise<void> {
  const outcomes: Record<string, boolean> = {};
  for (const { id, says, differs, check } of table.rows) {
    let held = false;
    await t.test(`${id}: ${says}${differs === undefined ? "" : ` (here: ${differs})`}`, async (t) => {
      await check(t, asked);
      held = t.passing();
    });
    outcomes[id] = held;
  }
  const folder = process.env[OUTCOMES_VARIABLE];
  if (folder !== undefined) writeFileSync(join(folder, `${table.id}.json`), JSON.stringify(outcomes));
}
