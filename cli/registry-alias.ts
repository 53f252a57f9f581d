/** `sluice registry alias`: names for versions: listed, shown, set, removed, and what they meant before. */
import type { AliasHistory, AliasList, AliasObject } from "../core/contract/registry-api.js";
import { openClient, type SluiceClient, withClient } from "./client.js";
import { CliError, EXIT } from "./exit.js";
import type { AliasChange, AliasFlags } from "./registry-commands.js";
import { aliasPath, modelPath } from "./registry-paths.js";
import { type Column, formatTable, layoutOf } from "./table.js";
import { plain } from "./terminal.js";

export async function changeAlias(change: AliasChange, flags: AliasFlags): Promise<void> {
  const { alias, version } = change;
  if (alias === undefined && (flags.remove === true || flags.history === true)) {
    throw new CliError(EXIT.usage, `name the alias ${flags.remove === true ? "to remove" : "whose history it is"}`);
  }
  if ([version !== undefined, flags.remove, flags.history].filter((each) => each === true).length > 1) {
    throw new CliError(EXIT.usage, "a VERSION, --remove and --history are three different wishes; give one");
  }
  await withClient(openClient(flags), (client) => act(client, change, flags));
}

async function act(client: SluiceClient, { modelId, alias, version }: AliasChange, flags: AliasFlags): Promise<void> {
  if (alias === undefined) {
    const { aliases } = await client.json<AliasList>({ path: `${modelPath(modelId)}/aliases` });
    return list(aliases, flags, "No aliases.");
  }
  const path = aliasPath(modelId, alias);
  if (flags.history === true) {
    return list((await client.json<AliasHistory>({ path: `${path}/history` })).history, flags, "Nothing.");
  }
  if (flags.remove === true) {
    await client.call({ method: "DELETE", path });
    if (flags.json !== true) process.stdout.write(`${plain(`${modelId}: ${alias} means nothing any more`)}\n`);
    return;
  }
  if (version === undefined) return list([await client.json<AliasObject>({ path })], flags, "");
  const set = await setAlias(client, { modelId, alias, version });
  if (flags.json === true) process.stdout.write(`${JSON.stringify(set, null, 2)}\n`);
  else process.stdout.write(`${plain(`${modelId}: ${alias} means version ${set.version_number}`)}\n`);
}

/** @param version a number, `latest` or an alias */
export function setAlias(
  client: SluiceClient,
  { modelId, alias, version }: { modelId: string; alias: string; version: string },
): Promise<AliasObject> {
  return client.json<AliasObject>({
    method: "PUT",
    path: aliasPath(modelId, alias),
    headers: { "content-type": "application/json" },
    body: Buffer.from(JSON.stringify({ version })),
  });
}

function list(found: readonly AliasObject[], flags: AliasFlags, nothing: string): void {
  if (flags.json === true) process.stdout.write(`${JSON.stringify(found, null, 2)}\n`);
  else if (found.length > 0) process.stdout.write(formatTable(found, COLUMNS, layoutOf(process.stdout)));
  else if (process.stdout.isTTY) process.stdout.write(`${nothing}\n`);
}

const COLUMNS: readonly Column<AliasObject>[] = [
  { title: "ALIAS", value: ({ alias }) => alias, whenNarrow: "cut" },
  { title: "VERSION", value: ({ version_number }) => version_number?.toString() ?? "removed" },
  { title: "SINCE", value: ({ set_at }) => `${set_at.slice(0, 19).replace("T", " ")} UTC` },
];
