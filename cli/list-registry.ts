/** `sluice registry list`: the models there are, or the versions of one, page by page. */
import type { ModelObject, ModelPage, VersionObject, VersionPage } from "../core/contract/registry-api.js";
import { openClient, type SluiceClient, withClient } from "./client.js";
import type { ListRegistryFlags } from "./registry-commands.js";
import { modelPath } from "./registry-paths.js";
import { ignoreClosedPipe } from "./result.js";
import { type Column, formatTable, layoutOf } from "./table.js";
import { formatBytes, formatSeconds } from "./terminal.js";

/** Most that one question brings. */
const PAGE = 500;

export async function listRegistry(modelId: string | undefined, flags: ListRegistryFlags): Promise<void> {
  process.stdout.on("error", ignoreClosedPipe);
  const limit = flags.all === true ? Number.POSITIVE_INFINITY : flags.limit;
  await withClient(openClient(flags), (client) =>
    modelId === undefined
      ? write(modelsOf(client, limit), MODELS, { nothing: "No models.", limit, asJson: flags.json === true })
      : write(versionsOf(client, modelId, limit), VERSIONS, {
          nothing: "No versions.",
          limit,
          asJson: flags.json === true,
        }),
  );
}

/** In the order of their ids. */
async function* modelsOf(client: SluiceClient, limit: number): AsyncGenerator<readonly ModelObject[]> {
  const query = new URLSearchParams();
  for (let left = limit; left > 0; ) {
    query.set("limit", String(Math.min(PAGE, left)));
    const { models, next } = await client.json<ModelPage>({ path: `/registry/models?${query}` });
    yield models;
    left -= models.length;
    if (next === null) return;
    query.set("after", next);
  }
}

/**
 * Newest first. The API counts upwards, and numbers have gaps where versions were deleted: so it is asked for one span of numbers below
 * the other, each as wide as what is still wanted, and wider where there was little.
 */
async function* versionsOf(client: SluiceClient, modelId: string, limit: number) {
  const path = modelPath(modelId);
  const { latest_version: latest } = await client.json<ModelObject>({ path });
  let left = limit;
  let width = Math.min(PAGE, left);
  for (let to = latest?.version_number ?? 0; to > 0 && left > 0; ) {
    const from = Math.max(1, to - width + 1);
    const found = await spanOf(client, `${path}/versions`, from, to);
    yield found.reverse().slice(0, left);
    left -= found.length;
    width = found.length < width / 2 ? width * 2 : Math.min(PAGE, left);
    to = from - 1;
  }
}

async function spanOf(client: SluiceClient, path: string, from: number, to: number): Promise<VersionObject[]> {
  const found: VersionObject[] = [];
  for (let next: number | null = from; next !== null && next <= to; ) {
    const limit = Math.min(PAGE, to - next + 1);
    const page: VersionPage = await client.json<VersionPage>({ path: `${path}?from=${next}&limit=${limit}` });
    found.push(...page.versions.filter(({ version_number }) => version_number <= to));
    next = page.next;
  }
  return found;
}

interface Writing {
  /** Said to a person. */
  readonly nothing: string;
  /** Rows asked for. */
  readonly limit: number;
  readonly asJson: boolean;
}

async function write<Row>(
  pages: AsyncIterable<readonly Row[]>,
  columns: readonly Column<Row>[],
  { nothing, limit, asJson }: Writing,
): Promise<void> {
  const layout = layoutOf(process.stdout);
  let isEmpty = true;
  let count = 0;
  for await (const rows of pages) {
    if (rows.length === 0) continue;
    const text = asJson ? jsonOf(rows, isEmpty) : formatTable(rows, columns, { ...layout, hasHead: isEmpty });
    process.stdout.write(text);
    isEmpty = false;
    count += rows.length;
  }
  if (asJson) process.stdout.write(isEmpty ? "[]\n" : "\n]\n");
  else if (isEmpty && layout.isTerminal) process.stdout.write(`${nothing}\n`);
  else if (count === limit && layout.isTerminal)
    process.stdout.write(`No more than ${limit} are shown; --all shows all.\n`);
}

function jsonOf(rows: readonly unknown[], isFirst: boolean): string {
  const texts = rows.map((row) => JSON.stringify(row, null, 2).replace(/^/gm, "  "));
  return `${isFirst ? "[\n" : ",\n"}${texts.join(",\n")}`;
}

const MODELS: readonly Column<ModelObject>[] = [
  { title: "MODEL", value: (model) => model.model_id, whenNarrow: "cut" },
  { title: "LATEST", value: ({ latest_version }) => latest_version?.version_number.toString() },
  { title: "SIZE", value: ({ latest_version }) => (latest_version === null ? null : sizeOf(latest_version)) },
  { title: "CREATED", value: ({ latest_version }) => (latest_version === null ? null : timeOf(latest_version)) },
  { title: "ALIASES", value: aliasesOf, whenNarrow: "cut" },
];

const VERSIONS: readonly Column<VersionObject>[] = [
  { title: "VERSION", value: (version) => String(version.version_number) },
  { title: "SIZE", value: sizeOf },
  { title: "CREATED", value: timeOf },
  { title: "KEPT", value: (version) => (version.archived ? "archived" : "in memory") },
  { title: "ALIASES", value: (version) => version.aliases.join(", "), whenNarrow: "cut" },
  { title: "SHA-256", value: (version) => version.sha256, whenNarrow: "cut" },
];

function aliasesOf({ aliases }: ModelObject): string {
  return Object.entries(aliases)
    .map(([alias, number]) => `${alias} → ${number}`)
    .join(", ");
}

/** A person reads the size and the age, a program bytes and the time. */
function sizeOf({ data_bytes }: VersionObject): string {
  return process.stdout.isTTY ? formatBytes(data_bytes) : String(data_bytes);
}

function timeOf({ created_at }: VersionObject): string {
  const epochMs = Date.parse(created_at);
  const seconds = (Date.now() - epochMs) / 1_000;
  if (!process.stdout.isTTY) return created_at;
  return seconds < 0 ? created_at.slice(0, 10) : `${formatSeconds(seconds)} ago`;
}
