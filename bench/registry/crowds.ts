/** Many watchers of one model, and a model with many versions. */
import { join } from "node:path";
import Database from "better-sqlite3";
import { createLogger } from "../../core/runtime/logger.js";
import { openRegistry } from "../../sidecar/registry/open-registry.js";
import { LISTED_MODEL } from "./messages.js";
import type { ClientProcess, ServerProcess, Strain } from "./peers.js";

export interface Watching extends Strain {
  /** From the commit until a watcher saw it. */
  readonly delaysMs: readonly number[];
}

export interface Listing extends Strain {
  /** 0: all in one reply. */
  readonly pageSize: number;
  readonly seconds: number;
  readonly timesMs: readonly number[];
}

export async function measureWatchers(
  { client, registry }: { readonly client: ClientProcess; readonly registry: ServerProcess },
  { watchers, rounds }: { readonly watchers: number; readonly rounds: number },
): Promise<Watching> {
  registry.commitsMs.length = 0;
  const { timesMs, ...strain } = await registry.strained(() =>
    client.obey({ type: "watch", port: registry.port, watchers, rounds }),
  );
  // The first ones, in which all have begun to watch and what is done was compiled, are not measured.
  const commitsMs = registry.commitsMs.slice(-rounds);
  const delaysMs = timesMs.map((seenMs, index) => seenMs - commitsMs[Math.floor(index / watchers)]!);
  const { growthMib, pauseMs, cpuSeconds } = strain;
  return { delaysMs, growthMib, pauseMs, cpuSeconds };
}

export async function measureListing(
  { client, registry }: { readonly client: ClientProcess; readonly registry: ServerProcess },
  { pageSize, versions }: { readonly pageSize: number; readonly versions: number },
): Promise<Listing> {
  const { seconds, count, timesMs, growthMib, pauseMs, cpuSeconds } = await registry.strained(() =>
    client.obey({ type: "list", port: registry.port, pageSize }),
  );
  if (count !== versions) throw new Error(`${count} versions were listed instead of ${versions}`);
  return { pageSize, seconds, timesMs, growthMib, pauseMs, cpuSeconds };
}

/** Rows alone: a list reads no bytes. */
export async function makeManyVersions(folder: string, versions: number): Promise<void> {
  const databaseFile = join(folder, "registry.db");
  const { registry, close } = await openRegistry({
    databaseFile,
    archiveDir: join(folder, "archive"),
    settings: () => ({ maxVersionBytes: null, cacheMaxItems: 100, cacheMaxBytes: 2 ** 30 }),
    logger: createLogger({ level: "warn", format: "json", process: "bench" }),
  });
  await registry.putModel({ modelId: LISTED_MODEL, userData: {} });
  await close();
  const database = new Database(databaseFile);
  database
    .prepare(
      `WITH RECURSIVE numbers (number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM numbers WHERE number < @versions)
       INSERT INTO versions (instance, number, creation_timestamp, data_hash, data_bytes, user_data)
       SELECT models.instance, number, '1700000000000000000', '47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=', 0,
         '{"accuracy":"0.93","trained_on":"notes of March"}'
       FROM numbers, models WHERE model_id = @model`,
    )
    .run({ versions, model: LISTED_MODEL });
  database.prepare("UPDATE models SET next_number = @next WHERE model_id = @model").run({
    next: versions + 1,
    model: LISTED_MODEL,
  });
  database.close();
}
