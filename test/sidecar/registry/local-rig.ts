/** A registry on a real database and real files in a test's own folder. */
import { createHash } from "node:crypto";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import type { Test } from "tap";
import type { VersionInfo } from "../../../core/contract/registry.js";
import type { Clock } from "../../../core/runtime/clock.js";
import { createLogger } from "../../../core/runtime/logger.js";
import { type OpenRegistry, openRegistry } from "../../../sidecar/registry/open-registry.js";
import type { Registry, RegistrySettings, VersionHeader } from "../../../sidecar/registry/registry.js";
import { makeFolder } from "../../helpers/folder.js";

export const quiet = createLogger({ level: "silent", format: "json", process: "test" });

export interface Rig extends OpenRegistry {
  readonly dataDir: string;
  readonly archiveDir: string;
}

export interface RigOptions {
  readonly dataDir?: string;
  readonly settings?: Partial<RegistrySettings>;
  readonly clock?: Clock;
  readonly onDeath?: (error: Error) => void;
}

export async function openRig(t: Test, options: RigOptions = {}): Promise<Rig> {
  const rig = await startRig(options.dataDir ?? makeFolder(t), options);
  t.teardown(() => rig.close());
  return rig;
}

export async function startRig(dataDir: string, { settings = {}, clock, onDeath }: RigOptions = {}): Promise<Rig> {
  const archiveDir = join(dataDir, "archive");
  const opened = await openRegistry({
    databaseFile: join(dataDir, "registry.db"),
    archiveDir,
    settings: () => ({ maxVersionBytes: null, cacheMaxItems: 100, cacheMaxBytes: 2 ** 20, ...settings }),
    logger: quiet,
    ...(clock === undefined ? {} : { clock }),
    ...(onDeath === undefined ? {} : { onDeath }),
  });
  return { ...opened, dataDir, archiveDir };
}

export function headerOf(modelId: string, dataBytes: number, more: Partial<VersionHeader> = {}): VersionHeader {
  return { modelId, archived: true, dataBytes, dataHash: null, creationTimestamp: null, userData: {}, ...more };
}

/** A version in one go. */
export async function push(
  registry: Registry,
  modelId: string,
  data: string | Uint8Array,
  more: Partial<VersionHeader> = {},
): Promise<VersionInfo> {
  const bytes = Buffer.from(data);
  const upload = await registry.create(headerOf(modelId, bytes.byteLength, more));
  if (bytes.byteLength > 0) await upload.write(bytes);
  return upload.commit();
}

/** All its bytes. */
export async function pull(registry: Registry, modelId: string, number: number): Promise<string> {
  const { stream } = await registry.open(modelId, number, { chunkBytes: 65_536 });
  const pieces: Buffer[] = [];
  for await (const piece of stream) pieces.push(Buffer.from(piece as Uint8Array));
  return Buffer.concat(pieces).toString();
}

export async function putModel(registry: Registry, modelId: string, userData: Record<string, string> = {}) {
  await registry.putModel({ modelId, userData });
}

export function numbers(versions: readonly VersionInfo[]): number[] {
  return versions.map(({ versionNumber }) => versionNumber);
}

export function hashOf(data: string | Uint8Array): string {
  return createHash("sha256").update(data).digest("base64");
}

/** Every file in the archive, by its path in it. */
export function filesIn(archiveDir: string): string[] {
  return readdirSync(archiveDir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(archiveDir.length + 1))
    .sort();
}
