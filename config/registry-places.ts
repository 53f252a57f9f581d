/** Where the model registry listens and keeps its bytes, where its settings leave it open. Pure. */
import { join } from "node:path";
import type { Config } from "./schema.js";

/** Loopback, unless it is to be found through a directory. `::` stands for all interfaces, those of IPv4 too. */
export function registryHostOf({ host, directory_endpoint }: Config["registry"]): string {
  return host ?? (directory_endpoint === null ? "127.0.0.1" : "::");
}

export function archiveDirOf({ data_dir, registry }: Config): string {
  return registry.archive_dir ?? join(data_dir, "archive");
}
