/** Where `sluice registry serve` keeps its database and its bytes. */
import { join } from "node:path";
import { DEFAULT_CONFIG_FILE } from "./files.js";
import { type LoadOptions, readSources } from "./load.js";
import { archiveDirOf } from "./registry-places.js";
import type { Config } from "./schema.js";

export interface RegistryFiles {
  readonly databaseFile: string;
  readonly archiveDir: string;
  /** The archive's folder holds the database too; no data folder is touched. */
  readonly isAlone: boolean;
}

/** The data folder, unless nobody named one and the archive's folder was named by a flag or a variable, as with Cogment's registry. */
export function registryFilesOf(config: Config, options: LoadOptions): RegistryFiles {
  const { merged, files } = readSources(options);
  const archive = merged.originOf(["registry", "archive_dir"]);
  const data = merged.originOf(["data_dir"]);
  const isDataNamed = data !== undefined && !(data.source === "file" && files.sluice === DEFAULT_CONFIG_FILE);
  const archiveDir = archiveDirOf(config);
  const isAlone =
    config.registry.archive_dir !== null && archive !== undefined && archive.source !== "file" && !isDataNamed;
  return { databaseFile: join(isAlone ? archiveDir : config.data_dir, "registry.db"), archiveDir, isAlone };
}
