/** `sluice tasks`: what there is, one task's page, waiting for it, cancelling it. */
import type { AttemptDetail, TaskDetail } from "../core/contract/tasks.js";
import { type ClientFlags, openClient, openOperatorClient, withClient } from "./client.js";
import { CliError, EXIT } from "./exit.js";
import type { GlobalFlags } from "./global-flags.js";
import { onInterrupt } from "./interrupt.js";
import { assertSucceeded, assertWritable, fetchResult } from "./result.js";
import { type Column, formatBytes, formatSeconds, formatTable, layoutOf } from "./terminal.js";
import { showTask, waitForTask } from "./wait.js";

export interface ListFlags extends GlobalFlags {
  readonly model?: string;
  readonly status?: string;
  readonly class?: string;
  readonly tenant?: string;
  readonly limit: number;
  readonly json?: boolean;
}

interface TaskPage {
  readonly tasks: readonly TaskDetail[];
  readonly next: string | null;
}

/** Most tasks one question to the sidecar brings. */
const PAGE = 500;

export async function listTasks(flags: ListFlags): Promise<void> {
  const tasks = await withClient(openOperatorClient(flags), async (client) => {
    const found: TaskDetail[] = [];
    let after: string | null = null;
    do {
      const query = new URLSearchParams({ limit: String(Math.min(PAGE, flags.limit - found.length)) });
      for (const key of ["model", "status", "class", "tenant"] as const) {
        if (flags[key] !== undefined) query.set(key, flags[key]);
      }
      if (after !== null) query.set("after", after);
      const page: TaskPage = await client.json({ path: `/internal/tasks?${query}` });
      found.push(...page.tasks);
      after = page.next;
    } while (after !== null && found.length < flags.limit);
    return found;
  });
  if (flags.json === true) process.stdout.write(`${JSON.stringify(tasks, null, 2)}\n`);
  else if (tasks.length === 0 && process.stdout.isTTY) process.stdout.write("No tasks.\n");
  else process.stdout.write(formatTable(tasks, LIST, layoutOf(process.stdout)));
}

const LIST: readonly Column<TaskDetail>[] = [
  { title: "ID", value: (task) => task.uuid },
  { title: "STATUS", value: (task) => (task.reason === null ? task.status : `${task.status} (${task.reason})`) },
  { title: "MODEL", value: (task) => task.model },
  { title: "TASK", value: (task) => task.type },
  { title: "CLASS", value: (task) => task.class },
  { title: "PRIO", value: (task) => String(task.priority) },
  { title: "CREATED", value: (task) => task.created_at.slice(0, 19).replace("T", " ") },
  { title: "TOOK", value: tookOf },
];

function tookOf({ started_at, finished_at }: TaskDetail): string | null {
  if (started_at === null || finished_at === null) return null;
  return formatSeconds((Date.parse(finished_at) - Date.parse(started_at)) / 1_000);
}

export async function printTask(id: string, flags: ClientFlags & { json?: boolean }): Promise<void> {
  const task = await withClient(openClient(flags), (client) => showTask(client, id));
  if (flags.json === true) {
    process.stdout.write(`${JSON.stringify(task, null, 2)}\n`);
    return;
  }
  const rows = Object.entries(task).filter(([, value]) => value !== null);
  const shown = (key: string, value: unknown) =>
    key === "result_bytes"
      ? formatBytes(Number(value))
      : key === "attempt_history"
        ? formatHistory(value as readonly AttemptDetail[])
        : String(value);
  const columns: Column<[string, unknown]>[] = [
    { title: "FIELD", value: ([key]) => key },
    { title: "VALUE", value: ([key, value]) => shown(key, value) },
  ];
  // A long error is read in full: no cut at the terminal's edge.
  process.stdout.write(formatTable(rows, columns, { ...layoutOf(process.stdout), width: Number.POSITIVE_INFINITY }));
}

function formatHistory(attempts: readonly AttemptDetail[]): string {
  const words = attempts.map(({ attempt, outcome, note }) => {
    const how = outcome ?? "under way";
    return `${attempt}: ${note === null ? how : `${how}, ${note}`}`;
  });
  return words.join("; ");
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
