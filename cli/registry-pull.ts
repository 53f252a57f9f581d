/** `sluice registry pull`: a version comes into a file of its own, is checked, and only then gets its name. */
import { access } from "node:fs/promises";
import { resolve } from "node:path";
import type { VersionObject } from "../core/contract/registry-api.js";
import { openClient, withClient } from "./client.js";
import { CliError, EXIT } from "./exit.js";
import { onInterrupt } from "./interrupt.js";
import type { ModelVersion, PullFlags } from "./registry-commands.js";
import { versionPath } from "./registry-paths.js";
import { assertWritable } from "./result.js";
import { downloadVersion } from "./resumable-download.js";

export async function pullVersion({ modelId, version }: ModelVersion, flags: PullFlags): Promise<void> {
  const signal = onInterrupt();
  if (flags.output !== undefined) await assertFree(flags.output, flags);
  await withClient(openClient(flags), async (client) => {
    const path = versionPath(modelId, version ?? "latest");
    const found = await client.json<VersionObject>({ path, signal });
    const output = flags.output ?? `${modelId}-v${found.version_number}.data`;
    if (flags.output === undefined) await assertFree(output, flags);
    await downloadVersion(client, { version: found, output, force: flags.force === true, signal });
    const told = flags.json === true ? JSON.stringify({ ...found, file: resolve(output) }, null, 2) : output;
    process.stdout.write(`${told}\n`);
  });
}

/** Said before gigabytes have come. @throws CliError */
async function assertFree(output: string, { force }: PullFlags): Promise<void> {
  await assertWritable(output);
  if (force === true) return;
  const isThere = await access(output).then(
    () => true,
    () => false,
  );
  if (isThere) throw new CliError(EXIT.usage, `${output} is there already`, { hint: "--force replaces it." });
}
