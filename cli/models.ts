/** `sluice models`: what can be asked. Reading never starts a model. */
import { type ClientFlags, openClient, withClient } from "./client.js";
import { type Column, formatTable, layoutOf } from "./table.js";

interface Model {
  readonly name: string;
  readonly uri?: string;
  readonly is_running: boolean;
  readonly model_type?: string;
  readonly description?: string;
}

interface ModelLists {
  readonly running: readonly Model[];
  readonly on_demand: readonly Model[];
}

interface Row extends Model {
  readonly state: string;
}

export async function listModels(flags: ClientFlags & { json?: boolean }): Promise<void> {
  const lists = await withClient(openClient(flags), (client) =>
    client.json<ModelLists>({ path: "/models/?verbose=true" }),
  );
  if (flags.json === true) {
    process.stdout.write(`${JSON.stringify(lists, null, 2)}\n`);
    return;
  }
  const rows: Row[] = [
    ...lists.running.map((model) => ({ ...model, state: model.is_running ? "running" : "not answering" })),
    ...lists.on_demand.map((model) => ({ ...model, state: "on demand" })),
  ];
  if (rows.length === 0 && process.stdout.isTTY) {
    process.stdout.write("No models. Name some under 'discovery' in the configuration.\n");
    return;
  }
  process.stdout.write(formatTable(rows, COLUMNS, layoutOf(process.stdout)));
}

const COLUMNS: readonly Column<Row>[] = [
  { title: "NAME", value: (model) => model.name },
  { title: "STATE", value: (model) => model.state },
  { title: "TYPE", value: (model) => model.model_type },
  { title: "URI", value: (model) => model.uri, whenNarrow: "cut" },
  { title: "DESCRIPTION", value: (model) => model.description, whenNarrow: "cut" },
];
