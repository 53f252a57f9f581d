/** `sluice tasks`: one task's page, why it waits, waiting for it, cancelling it. */
import type { AttemptDetail, CallbackView, TaskDetail, TaskWhy } from "../core/contract/tasks.js";
import { type ClientFlags, openClient, withClient } from "./client.js";
import { CliError, EXIT } from "./exit.js";
import { onInterrupt } from "./interrupt.js";
import { assertSucceeded, assertWritable, fetchResult } from "./result.js";
import { type Column, formatTable, layoutOf } from "./table.js";
import { formatBytes, plain } from "./terminal.js";
import { showTask, waitForTask } from "./wait.js";

export async function printTask(id: string, flags: ClientFlags & { json?: boolean }): Promise<void> {
  const task = await withClient(openClient(flags), (client) => showTask(client, id));
  if (flags.json === true) {
    process.stdout.write(`${JSON.stringify(task, null, 2)}\n`);
    return;
  }
  const rows = Object.entries(task).filter(([, value]) => value !== null);
  const columns: Column<[string, unknown]>[] = [
    { title: "FIELD", value: ([key]) => key },
    { title: "VALUE", value: ([key, value]) => fieldInWords(key, value) },
  ];
  // A long error is read in full: no cut at the terminal's edge.
  process.stdout.write(formatTable(rows, columns, { ...layoutOf(process.stdout), width: Number.POSITIVE_INFINITY }));
}

function fieldInWords(key: string, value: unknown): string {
  if (key === "result_bytes") return formatBytes(Number(value));
  if (key === "attempt_history") return formatHistory(value as readonly AttemptDetail[]);
  if (key === "callback") return formatCallback(value as CallbackView);
  return String(value);
}

/** The sentence first, then one line per thing it waits for. */
export async function explainTask(id: string, flags: ClientFlags & { json?: boolean }): Promise<void> {
  const why = await withClient(openClient(flags), (client) =>
    client.json<TaskWhy>({ path: `/tasks/${encodeURIComponent(id)}/why` }),
  );
  if (flags.json === true) {
    process.stdout.write(`${JSON.stringify(why, null, 2)}\n`);
    return;
  }
  const until = (time: string | null) =>
    time === null ? "" : ` Until about ${time.slice(0, 19).replace("T", " ")} UTC.`;
  const lines = why.waiting_for.map((each) => `- ${each.code}: ${each.message}${until(each.until)}`);
  process.stdout.write([why.summary, ...lines].map((line) => `${plain(line)}\n`).join(""));
}

function formatHistory(attempts: readonly AttemptDetail[]): string {
  const words = attempts.map(({ attempt, outcome, note }) => {
    const how = outcome ?? "under way";
    return `${attempt}: ${note === null ? how : `${how}, ${note}`}`;
  });
  return words.join("; ");
}

function formatCallback({ state, attempts }: CallbackView): string {
  return `${state}, sent ${attempts === 1 ? "once" : `${attempts} times`}`;
}

export interface WaitFlags extends ClientFlags {
  readonly output?: string;
  readonly timeout?: number;
  readonly json?: boolean;
}

export async function awaitTask(id: string, flags: WaitFlags): Promise<void> {
  if (flags.output !== undefined) await assertWritable(flags.output);
  const signal = onInterrupt();
  await withClient(openClient(flags), async (client) => {
    const task = await waitForTask(client, id, { timeoutMs: flags.timeout ?? null, signal });
    if (flags.json === true) process.stdout.write(`${JSON.stringify(task, null, 2)}\n`);
    assertSucceeded(task);
    if (flags.output !== undefined || flags.json !== true)
      await fetchResult(client, task, flags.output ?? null, signal);
  });
}

export async function cancelTask(id: string, flags: ClientFlags & { json?: boolean }): Promise<void> {
  const task = await withClient(openClient(flags), (client) =>
    client.json<Partial<TaskDetail>>({ method: "DELETE", path: `/tasks/${encodeURIComponent(id)}` }),
  );
  if (flags.json === true) process.stdout.write(`${JSON.stringify(task, null, 2)}\n`);
  else if (task.status === "failed") process.stdout.write(`Task ${id} is cancelled.\n`);
  else if (task.status === undefined) throw new CliError(EXIT.failed, `task ${id}: the answer names no status`);
  else process.stdout.write(`Task ${id} was asked to stop; it is ${task.status} until its model server has.\n`);
}
