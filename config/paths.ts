/** File paths of the configuration: made absolute, and short enough for sockets. */
import { createHash } from "node:crypto";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { type ConfigFault, faultAt } from "./faults.js";
import { PACKAGE_ROOT } from "./files.js";
import type { Merged } from "./layers.js";
import type { Config } from "./schema.js";

/** Longest path of a Unix socket that every system takes. */
const LONGEST_SOCKET_BYTES = 100;

/** A socket named by hand must be one the system can make; nobody looks for it elsewhere. */
export function socketFaults({ raw, originOf }: Merged, cwd: string): ConfigFault[] {
  const path = ["sidecar", "socket"];
  const value = (raw.sidecar as { socket?: unknown } | undefined)?.socket;
  const origin = originOf(path);
  if (typeof value !== "string" || origin === undefined) return [];
  if (Buffer.byteLength(resolve(cwd, value)) <= LONGEST_SOCKET_BYTES) return [];
  return [faultAt(path, origin, `must be a path of at most ${LONGEST_SOCKET_BYTES} bytes, counted from the root`)];
}

/**
 * Where the sidecar listens: `sidecar.socket`, else `sidecar.sock` in the data folder. A data folder too deep for a socket gets
 * one among the temporary files, named by a hash of the folder, so that all processes of one folder meet.
 */
export function socketPathOf(config: Config): string {
  if (config.sidecar.socket !== null) return config.sidecar.socket;
  const inside = join(config.data_dir, "sidecar.sock");
  if (Buffer.byteLength(inside) <= LONGEST_SOCKET_BYTES) return inside;
  const name = createHash("sha256").update(config.data_dir).digest("hex").slice(0, 24);
  return join(tmpdir(), `sluice-${name}.sock`);
}

interface Launch {
  readonly command: string[];
  readonly env: Record<string, string>;
  readonly cwd: string | null;
}

/** Relative paths start at `cwd`; {sluice_home} becomes the folder Sluice is installed in. */
export function resolvePaths(config: Config, cwd: string): Config {
  const absolute = <T extends string | null>(path: T) => (path === null ? path : resolve(cwd, path)) as T;
  const home = (text: string) => text.replaceAll("{sluice_home}", PACKAGE_ROOT);
  const launched = <T extends Launch>(each: T): T => ({
    ...each,
    command: each.command.map(home),
    env: Object.fromEntries(Object.entries(each.env).map(([name, value]) => [name, home(value)])),
    cwd: each.cwd === null ? null : absolute(home(each.cwd)),
  });
  const trusted = <T extends { ca_file: string | null }>(each: T): T => ({ ...each, ca_file: absolute(each.ca_file) });
  const { cms, discovery, models, registry, tracking } = config;
  const { process } = models.deployment;
  return {
    ...config,
    data_dir: absolute(config.data_dir),
    sidecar: { socket: absolute(config.sidecar.socket) },
    cms: { ...cms, tracking: trusted(cms.tracking) },
    tracking: tracking === null ? null : trusted(tracking),
    discovery: { ...discovery, process: discovery.process.map(launched) },
    models: { ...models, deployment: { ...models.deployment, process: process === null ? null : launched(process) } },
    registry: { ...registry, archive_dir: absolute(registry.archive_dir), log_file: absolute(registry.log_file) },
  };
}
