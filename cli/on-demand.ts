/** `sluice on-demand list`, `show` and `history`: the configurations requests start models from. */
import type { OnDemandConfig } from "../core/contract/model-management.js";
import { openClient, withClient } from "./client.js";
import type { ShowFlags } from "./model-commands.js";
import { type Column, formatTable, layoutOf } from "./table.js";
import { formatSeconds } from "./terminal.js";

interface ConfigList {
  readonly configs: readonly OnDemandConfig[];
}

export async function listOnDemand(flags: ShowFlags & { all?: boolean }): Promise<void> {
  const path = `/admin/on-demand?include_disabled=${flags.all === true}`;
  const list = await withClient(openClient(flags), (client) => client.json<ConfigList>({ path }));
  const columns = flags.all === true ? [NAME, ID, ENABLED, ...REST] : [NAME, ID, ...REST];
  print(list, columns, flags, "No model is started on demand by a stored configuration; see: sluice on-demand create");
}

export async function listVersions(name: string, flags: ShowFlags): Promise<void> {
  const path = `/admin/on-demand/${encodeURIComponent(name)}/history`;
  const list = await withClient(openClient(flags), (client) => client.json<ConfigList>({ path }));
  print(list, [ID, ENABLED, CREATED, ...REST], flags, "No versions.");
}

function print(list: ConfigList, columns: Column<OnDemandConfig>[], flags: ShowFlags, none: string): void {
  if (flags.json === true) process.stdout.write(`${JSON.stringify(list, null, 2)}\n`);
  else if (list.configs.length === 0 && process.stdout.isTTY) process.stdout.write(`${none}\n`);
  else process.stdout.write(formatTable(list.configs, columns, layoutOf(process.stdout)));
}

export async function showOnDemand(name: string, flags: ShowFlags): Promise<void> {
  const path = `/admin/on-demand/${encodeURIComponent(name)}`;
  const config = await withClient(openClient(flags), (client) => client.json<OnDemandConfig>({ path }));
  if (flags.json === true) {
    process.stdout.write(`${JSON.stringify(config, null, 2)}\n`);
    return;
  }
  const { deploy: _inWords, ...fields } = config;
  const rows = Object.entries({ ...fields, limits: limitsOf(config) }).filter(([, value]) => value !== null);
  const columns: Column<[string, unknown]>[] = [
    { title: "FIELD", value: ([key]) => key },
    { title: "VALUE", value: ([key, value]) => (key === "idle_ttl" ? formatSeconds(Number(value)) : String(value)) },
  ];
  process.stdout.write(formatTable(rows, columns, { ...layoutOf(process.stdout), width: Number.POSITIVE_INFINITY }));
}

/** `memory 4g, 1.5 cpus, reserves 2g, 1 gpus`. Pure. */
export function limitsOf({ deploy }: Pick<OnDemandConfig, "deploy">): string | null {
  const { limits, reservations } = deploy?.resources ?? {};
  const words = [
    limits?.memory === undefined ? null : `memory ${limits.memory}`,
    limits?.cpus === undefined ? null : `${limits.cpus} cpus`,
    reservations?.memory === undefined ? null : `reserves ${reservations.memory}`,
    reservations?.gpus === undefined ? null : `${reservations.gpus} gpus`,
  ].filter((each) => each !== null);
  return words.length === 0 ? null : words.join(", ");
}

const NAME: Column<OnDemandConfig> = { title: "NAME", value: (config) => config.model_name };
const ID: Column<OnDemandConfig> = { title: "ID", value: (config) => String(config.id) };
const ENABLED: Column<OnDemandConfig> = {
  title: "ENABLED",
  value: ({ enabled }) => (enabled ? "yes" : "no"),
  colour: ({ enabled }) => (enabled ? "green" : null),
};
const CREATED: Column<OnDemandConfig> = {
  title: "CREATED",
  value: ({ created_at }) => created_at.slice(0, 19).replace("T", " "),
};
const REST: readonly Column<OnDemandConfig>[] = [
  { title: "IDLE", value: (config) => formatSeconds(config.idle_ttl) },
  { title: "URI", value: (config) => config.model_uri, whenNarrow: "cut" },
  { title: "LIMITS", value: limitsOf, whenNarrow: "leave-out" },
  { title: "DESCRIPTION", value: (config) => config.description, whenNarrow: "cut" },
];
