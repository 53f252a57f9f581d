/** `<data_dir>/models/<name>/process.json`: what a later sidecar needs to find a model server again. */
import { createHash } from "node:crypto";
import { mkdir, open, readdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import type { ProcessModelConfig } from "../../../config/schema.js";
import { FIRST_SLOT, readSlotFolder, slotFolder } from "../server-slot.js";

const recordSchema = z.object({
  version: z.literal(1),
  run_id: z.string().min(1),
  /** Null until the program runs: a start that was cut off is found by its run id. */
  pid: z.number().int().positive().nullable(),
  start_time: z.string().nullable(),
  boot_id: z.string(),
  port: z.number().int(),
  command_hash: z.string(),
  /** Of the registry's version it was started with; null for every other model. */
  model_uri: z.string().nullable().default(null),
});
export type ProcessRecord = z.output<typeof recordSchema>;

const FILE = "process.json";

/** The folder of one server's log and record. @param slot the server's place among those of its model; default the first */
export function modelFolder(dataDir: string, name: string, slot = FIRST_SLOT): string {
  return join(dataDir, "models", slotFolder(name, slot));
}

/** Two entries with one hash start the same server; settings that only Sluice reads are left out. */
export function hashCommand(entry: ProcessModelConfig): string {
  const { name, command, port, env, cwd, model_uri, model_type } = entry;
  return createHash("sha256")
    .update(JSON.stringify([name, command, port, Object.entries(env).sort(), cwd, model_uri, model_type]))
    .digest("hex");
}

/** Null when there is none or it cannot be understood. */
export async function readRecord(folder: string): Promise<ProcessRecord | null> {
  try {
    return recordSchema.parse(JSON.parse(await readFile(join(folder, FILE), "utf8")));
  } catch {
    return null;
  }
}

/** Durable when it resolves: file and folder are synced. */
export async function writeRecord(folder: string, record: ProcessRecord): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const path = join(folder, FILE);
  const file = await open(`${path}.new`, "w", 0o600);
  try {
    await file.writeFile(`${JSON.stringify(record)}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(`${path}.new`, path);
  const directory = await open(folder, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

export async function removeRecord(folder: string): Promise<void> {
  await rm(join(folder, FILE), { force: true });
  await rm(join(folder, `${FILE}.new`), { force: true });
}

/** Who has a folder, whether or not it is still configured. */
export async function recordedModels(dataDir: string): Promise<{ model: string; slot: number }[]> {
  try {
    const rows = await readdir(join(dataDir, "models"), { withFileTypes: true });
    return rows.filter((row) => row.isDirectory()).map((row) => readSlotFolder(row.name));
  } catch {
    return [];
  }
}
