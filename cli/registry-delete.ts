/** `sluice registry delete`: a version, or with `--all-versions` its model. */
import type { VersionObject } from "../core/contract/registry-api.js";
import { openClient, withClient } from "./client.js";
import { CliError, EXIT } from "./exit.js";
import type { DeleteFlags, ModelVersion } from "./registry-commands.js";
import { modelPath, versionPath } from "./registry-paths.js";
import { plain } from "./terminal.js";

export async function deleteFromRegistry(which: ModelVersion, flags: DeleteFlags): Promise<void> {
  const { modelId, version } = which;
  if (version === null && flags.allVersions !== true) {
    throw new CliError(EXIT.usage, `which version of ${plain(modelId)}?`, {
      hint: `Name it as ${plain(modelId)}/VERSION; --all-versions deletes the model with all it has.`,
    });
  }
  if (version !== null && flags.allVersions === true) {
    throw new CliError(EXIT.usage, "name either one version or --all-versions, not both");
  }
  const query = flags.force === true ? "?force=true" : "";
  const what = await withClient(openClient(flags), async (client) => {
    if (version === null) {
      await client.call({ method: "DELETE", path: modelPath(modelId) + query });
      return `${modelId} and all its versions are`;
    }
    // What is said to be deleted is what was: names may mean another version by the time.
    const { version_number: number } = await client.json<VersionObject>({ path: versionPath(modelId, version) });
    await client.call({ method: "DELETE", path: versionPath(modelId, number) + query });
    return `${modelId}/${number} is`;
  });
  process.stdout.write(`${plain(what)} deleted\n`);
}
