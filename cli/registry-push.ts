/** `sluice registry push`: a file becomes a model's new version. */
import { stat } from "node:fs/promises";
import { registryUri } from "../core/contract/registry.js";
import type { VersionObject } from "../core/contract/registry-api.js";
import { openClient, type SluiceClient, withClient } from "./client.js";
import { CliError, EXIT } from "./exit.js";
import { hashFile } from "./file-hash.js";
import { onInterrupt } from "./interrupt.js";
import { setAlias } from "./registry-alias.js";
import type { PushFlags } from "./registry-commands.js";
import { stopped, unreadable, uploadFile } from "./resumable-upload.js";
import { plain } from "./terminal.js";
import { uploadWhole } from "./whole-upload.js";

export async function pushVersion(modelId: string, file: string, flags: PushFlags): Promise<void> {
  if (flags.transient === true && flags.alias !== undefined) {
    throw new CliError(EXIT.usage, "an alias means archived versions alone; leave out either --transient or --alias");
  }
  const signal = onInterrupt();
  const bytes = await sizeOfFile(file);
  await withClient(openClient(flags), async (client) => {
    const sha256 = await hashFile(file, bytes, signal).catch((caught: unknown) => {
      throw signal.aborted ? stopped(caught) : unreadable(file, caught);
    });
    const header = {
      data_bytes: bytes,
      archived: flags.transient !== true,
      sha256,
      user_data: Object.fromEntries(flags.versionData ?? []),
    };
    const push = { modelId, file, header, create: flags.create === true, signal };
    const version = await (header.archived ? uploadFile(client, push) : uploadWhole(client, push));
    if (version.sha256 !== sha256) {
      throw new CliError(EXIT.failed, `version ${version.version_number} is not what was sent: its SHA-256 differs`, {
        hint: "Delete it, and look at what stands between here and Sluice.",
      });
    }
    await tell(client, version, flags);
  });
}

async function tell(client: SluiceClient, version: VersionObject, flags: PushFlags): Promise<void> {
  const { model_id: modelId, version_number: number } = version;
  const uri = registryUri({ modelId, version: number });
  if (flags.alias !== undefined) {
    await setAlias(client, { modelId, alias: flags.alias, version: String(number) }).catch((caught: unknown) => {
      const { message, exitCode } = caught as CliError;
      throw new CliError(exitCode, `${uri} is there, but its alias is not: ${message}`, {
        cause: caught,
        hint: plain(`Try: sluice registry alias ${modelId} ${flags.alias} ${number}`),
      });
    });
  }
  const shown = { ...version, aliases: flags.alias === undefined ? version.aliases : [flags.alias] };
  process.stdout.write(flags.json === true ? `${JSON.stringify(shown, null, 2)}\n` : `${uri}\n`);
}

async function sizeOfFile(path: string): Promise<number> {
  const found = await stat(path).catch((caught: unknown) => {
    throw unreadable(path, caught);
  });
  if (!found.isFile()) throw new CliError(EXIT.usage, `${path} is not a file`, { hint: "Pack a folder first." });
  return found.size;
}
