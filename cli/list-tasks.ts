/** `sluice tasks list`: by the sidecar's socket, page by page, so that a million tasks need no more memory than one page. */
import type { TaskDetail } from "../core/contract/tasks.js";
import { openOperatorClient, type SluiceClient, withClient } from "./client.js";
import type { GlobalFlags } from "./global-flags.js";
import { ignoreClosedPipe } from "./result.js";
import { type Colour, type Column, formatTable, layoutOf, type TableLayout } from "./table.js";
import { formatSeconds } from "./terminal.js";

export interface ListFlags extends GlobalFlags {
  readonly model?: string;
  readonly task?: string;
  readonly status?: string;
  readonly reason?: string;
  readonly class?: string;
  readonly tenant?: string;
  /** ISO 8601. */
  readonly since?: string;
  readonly until?: string;
  readonly limit: number;
  /** As many as there are, whatever the limit. */
  readonly all?: boolean;
  readonly json?: boolean;
}

interface TaskPage {
  readonly tasks: readonly TaskDetail[];
  readonly next: string | null;
}

/** Most tasks one question to the sidecar brings. */
const PAGE = 500;
const FILTERS = ["model", "task", "status", "reason", "class", "tenant", "since", "until"] as const;

export async function listTasks(flags: ListFlags): Promise<void> {
  process.stdout.on("error", ignoreClosedPipe);
  const layout = layoutOf(process.stdout);
  const show = flags.json === true ? jsonWriter() : tableWriter(layout);
  await withClient(openOperatorClient(flags), async (client) => {
    for await (const tasks of pagesOf(client, flags)) process.stdout.write(show.page(tasks));
  });
  process.stdout.write(show.end());
}

/** Pages that are not empty. */
async function* pagesOf(client: SluiceClient, flags: ListFlags): AsyncGenerator<readonly TaskDetail[]> {
  const query = new URLSearchParams();
  for (const key of FILTERS) if (flags[key] !== undefined) query.set(key, flags[key]);
  let left = flags.all === true ? Number.POSITIVE_INFINITY : flags.limit;
  while (left > 0) {
    query.set("limit", String(Math.min(PAGE, left)));
    const { tasks, next } = await client.json<TaskPage>({ path: `/internal/tasks?${query}` });
    if (tasks.length > 0) yield tasks;
    if (next === null) return;
    query.set("after", next);
    left -= tasks.length;
  }
}

interface ListWriter {
  page(tasks: readonly TaskDetail[]): string;
  end(): string;
}

/** One array, as `JSON.stringify` would indent it. */
function jsonWriter(): ListWriter {
  let before = "[\n";
  return {
    page(tasks) {
      return tasks
        .map((task) => {
          const text = before + JSON.stringify(task, null, 2).replace(/^/gm, "  ");
          before = ",\n";
          return text;
        })
        .join("");
    },
    end: () => (before === "[\n" ? "[]\n" : "\n]\n"),
  };
}

export function tableWriter(layout: TableLayout): ListWriter {
  let isEmpty = true;
  const columns = layout.isTerminal ? forPeople(Date.now()) : FOR_PROGRAMS;
  return {
    page(tasks) {
      const text = formatTable(tasks, columns, { ...layout, hasHead: isEmpty });
      isEmpty = false;
      return text;
    },
    end: () => (isEmpty && layout.isTerminal ? "No tasks.\n" : ""),
  };
}

const ID: Column<TaskDetail> = { title: "ID", value: (task) => task.uuid };
const MODEL: Column<TaskDetail> = { title: "MODEL", value: (task) => task.model, whenNarrow: "cut" };
const TASK: Column<TaskDetail> = { title: "TASK", value: (task) => task.type, whenNarrow: "cut" };
const CLASS: Column<TaskDetail> = { title: "CLASS", value: (task) => task.class, whenNarrow: "leave-out" };
const PRIORITY: Column<TaskDetail> = {
  title: "PRIO",
  value: (task) => String(task.priority),
  whenNarrow: "leave-out",
};
const TENANT: Column<TaskDetail> = { title: "TENANT", value: (task) => task.tenant, whenNarrow: "leave-out" };
const TOOK: Column<TaskDetail> = { title: "TOOK", value: tookOf, whenNarrow: "leave-out" };

const FOR_PROGRAMS: readonly Column<TaskDetail>[] = [
  ID,
  { title: "STATUS", value: (task) => (task.reason === null ? task.status : `${task.status} (${task.reason})`) },
  ...[MODEL, TASK, CLASS, PRIORITY],
  { title: "CREATED", value: (task) => task.created_at.slice(0, 19).replace("T", " ") },
  ...[TOOK, TENANT],
];

/** Eighty columns hold it; the age and the reason alone say most of what the time and the word `failed` would. */
function forPeople(nowMs: number): Column<TaskDetail>[] {
  return [
    ID,
    { title: "STATUS", value: (task) => task.reason ?? task.status, colour: colourOf },
    ...[MODEL, TASK],
    { title: "AGE", value: (task) => formatSeconds((nowMs - Date.parse(task.created_at)) / 1_000) },
    ...[CLASS, PRIORITY, TENANT, TOOK],
  ];
}

function colourOf({ status }: TaskDetail): Colour | null {
  if (status === "succeeded") return "green";
  if (status === "failed") return "red";
  return status === "pending" ? null : "yellow";
}

function tookOf({ started_at, finished_at }: TaskDetail): string | null {
  if (started_at === null || finished_at === null) return null;
  return formatSeconds((Date.parse(finished_at) - Date.parse(started_at)) / 1_000);
}
