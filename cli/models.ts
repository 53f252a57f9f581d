/** `sluice models list` and `show`: what can be asked. Reading never starts a model. */
import { openClient, type SluiceClient, withClient } from "./client.js";
import { CliError } from "./exit.js";
import type { ShowFlags } from "./model-commands.js";
import { type Colour, type Column, formatTable, layoutOf } from "./table.js";
import { formatSeconds } from "./terminal.js";

interface Model {
  readonly name: string;
  readonly uri?: string;
  readonly is_running: boolean;
  readonly model_type?: string;
  readonly description?: string;
  readonly tracking?: { readonly run_id?: string };
  readonly runtime?: unknown;
}

interface ModelLists {
  readonly running: readonly Model[];
  readonly on_demand: readonly Model[];
}

/** What Sluice knows beyond CogStack Model Gateway's model object. */
export interface ModelState {
  readonly name: string;
  readonly state: string;
  readonly source: string;
  readonly deployment_type: string;
  readonly uri: string | null;
  readonly model_type: string | null;
  readonly description: string | null;
  readonly server_id: string | null;
  /** Seconds. */
  readonly idle_ttl: number | null;
  readonly expires_at: string | null;
  readonly problem: string | null;
  /** Null, or left out by an older Sluice: it follows no version. */
  readonly rollout?: Rollout | null;
}

interface Rollout {
  readonly follows: string;
  readonly wanted: string | null;
  readonly phase: string;
  readonly problem: string | null;
  readonly former_servers: number;
}

interface Row extends Model {
  readonly state: string;
  readonly known: ModelState | undefined;
}

export async function listModels(flags: ShowFlags): Promise<void> {
  const { lists, states } = await withClient(openClient(flags), async (client) => ({
    lists: await client.json<ModelLists>({ path: "/models/?verbose=true" }),
    states: flags.json === true ? [] : await statesOf(client),
  }));
  if (flags.json === true) {
    process.stdout.write(`${JSON.stringify(lists, null, 2)}\n`);
    return;
  }
  const rows = rowsOf(lists, states);
  if (rows.length === 0 && process.stdout.isTTY) {
    process.stdout.write("No models. Name some under 'discovery' in the configuration, or: sluice models deploy\n");
    return;
  }
  const layout = layoutOf(process.stdout);
  // What no model has, a person need not see as a column; a program finds the same columns every time.
  const more = MORE.filter(({ value }) => layout.isTerminal && rows.some((row) => typeof value(row) === "string"));
  process.stdout.write(formatTable(rows, [...COLUMNS, ...more], layout));
}

/** None where it is not Sluice that answers. */
async function statesOf(client: SluiceClient): Promise<readonly ModelState[]> {
  try {
    return (await client.json<{ models: readonly ModelState[] }>({ path: "/admin/models" })).models;
  } catch (caught) {
    if (caught instanceof CliError && caught.status === 404) return [];
    throw caught;
  }
}

function rowsOf(lists: ModelLists, states: readonly ModelState[]): Row[] {
  const stateOf = new Map(states.map((state) => [state.name, state]));
  const row = (model: Model, otherwise: string): Row => {
    const known = stateOf.get(model.name);
    return { ...model, known, state: STATES[known?.state ?? ""] ?? known?.state ?? otherwise };
  };
  return [
    ...lists.running.map((model) => row(model, model.is_running ? "running" : "not answering")),
    ...lists.on_demand.map((model) => row(model, "on demand")),
  ];
}

const STATES: Readonly<Record<string, string>> = {
  ready: "running",
  absent: "on demand",
  draining: "stopping",
  unreachable: "not answering",
};

const COLUMNS: readonly Column<Row>[] = [
  { title: "NAME", value: (model) => model.name },
  { title: "STATE", value: (model) => model.state, colour: ({ state }) => colourOf(state) },
  { title: "TYPE", value: (model) => model.model_type },
  { title: "URI", value: (model) => model.uri, whenNarrow: "cut" },
  { title: "DESCRIPTION", value: (model) => model.description, whenNarrow: "cut" },
];

const MORE: readonly Column<Row>[] = [
  { title: "STOPS", value: ({ known }) => (known === undefined ? null : endOf(known)), whenNarrow: "leave-out" },
  { title: "PROBLEM", value: ({ known }) => known?.problem, whenNarrow: "cut" },
];

function colourOf(state: string): Colour | null {
  if (state === "running") return "green";
  if (state === "failed" || state === "not answering") return "red";
  return state === "on demand" ? null : "yellow";
}

/** When it is removed, else after how long without use it is stopped. */
function endOf({ expires_at, idle_ttl }: ModelState): string | null {
  if (expires_at !== null) return `in ${formatSeconds((Date.parse(expires_at) - Date.now()) / 1_000)}`;
  return idle_ttl === null ? null : `idle ${formatSeconds(idle_ttl)}`;
}

export async function showModel(name: string, flags: ShowFlags): Promise<void> {
  const path = encodeURIComponent(name);
  const page = await withClient(openClient(flags), async (client) => {
    const [state, model] = await Promise.all([
      client.json<ModelState>({ path: `/admin/models/${path}` }),
      client.json<Model>({ path: `/models/${path}?verbose=true` }),
    ]);
    const { description, model_type, tracking, runtime } = model;
    return {
      ...state,
      description: description ?? state.description,
      model_type: model_type ?? state.model_type,
      ...(tracking === undefined ? {} : { tracking }),
      ...(runtime === undefined ? {} : { runtime }),
    };
  });
  if (flags.json === true) {
    process.stdout.write(`${JSON.stringify(page, null, 2)}\n`);
    return;
  }
  const { tracking, runtime: _wholePage, rollout = null, ...fields } = page;
  const more = { rollout: rollout === null ? null : rolloutOf(rollout), run: tracking?.run_id ?? null };
  const rows = Object.entries({ ...fields, ...more }).filter(([, value]) => value !== null);
  const columns: Column<[string, unknown]>[] = [
    { title: "FIELD", value: ([key]) => key },
    { title: "VALUE", value: ([key, value]) => (key === "idle_ttl" ? formatSeconds(Number(value)) : String(value)) },
  ];
  process.stdout.write(formatTable(rows, columns, { ...layoutOf(process.stdout), width: Number.POSITIVE_INFINITY }));
}

/** `follows latest, sluice://m/3: waiting (a training is under way), 1 former server in use`. Pure. */
export function rolloutOf({ follows, wanted, phase, problem, former_servers: formers }: Rollout): string {
  const what = wanted === null ? `follows ${follows}, which there is none of` : `follows ${follows}, ${wanted}`;
  const why = problem === null ? "" : ` (${problem})`;
  const inUse = formers === 0 ? "" : `, ${formers} former ${formers === 1 ? "server" : "servers"} in use`;
  return `${what}: ${phase}${why}${inUse}`;
}
