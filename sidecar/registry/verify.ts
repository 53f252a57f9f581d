/**
 * Reads every archived version and holds it against its row, and every file of the archive against the rows. Changes nothing, so it
 * may run beside a live server: what goes or comes meanwhile is looked at again before it is told.
 */
import { createHash } from "node:crypto";
import { lstat } from "node:fs/promises";
import { join } from "node:path";
import type { VersionInfo } from "../../core/contract/registry.js";
import { sleep } from "../../core/runtime/clock.js";
import { openForReading } from "../db/open.js";
import type { FileProblem } from "./archive/archive.js";
import { type Entry, entriesOf, NotAFileError, openSource, readPiece } from "./cogment/cogment-folder.js";
import { modelIdsOf } from "./model-ids.js";
import { folderOf, instanceOf, numberOf, placeOf } from "./places.js";
import type { RegistryReads, StoredModel } from "./store/registry-store.js";
import { createReads } from "./store/sqlite-registry-reads.js";

export interface VerifyOptions {
  readonly databaseFile: string;
  readonly archiveDir: string;
  readonly onProgress?: (progress: VerifyProgress) => void;
  readonly signal: AbortSignal;
  /** A file stands in its place before its row is committed: a younger one may still get it. Default 10_000 */
  readonly rowComesWithinMs?: number;
}

const ROW_COMES_WITHIN_MS = 10_000;

/** Of the versions there were at the beginning. */
export interface VerifyProgress {
  readonly versions: number;
  readonly dataBytes: number;
  readonly totalVersions: number;
  readonly totalBytes: number;
}

export interface RegistryProblem {
  /** Null: a folder of no model that there is. */
  readonly modelId: string | null;
  /** Null: no version's file by its name. */
  readonly versionNumber: number | null;
  /** `no-row`: a file or folder in the archive that the database does not name. */
  readonly problem: FileProblem | "no-row";
  /** Below the archive's folder. */
  readonly path: string;
}

/** @throws the database's and the archive folder's own errors, where they cannot be opened; the signal's reason */
export async function* verifyRegistry(options: VerifyOptions): AsyncGenerator<RegistryProblem> {
  const database = openForReading(options.databaseFile);
  try {
    const reads = createReads(database);
    yield* verifyVersions(reads, options);
    yield* findUnnamed(reads, options);
  } finally {
    database.close();
  }
}

const PAGE = 200;

async function* verifyVersions(reads: RegistryReads, options: VerifyOptions): AsyncGenerator<RegistryProblem> {
  const { archiveDir, onProgress, signal } = options;
  const total = totalOf(reads);
  let versions = 0;
  let dataBytes = 0;
  const tell = () => onProgress?.({ versions, dataBytes, ...total });
  for (const { model, info } of allVersions(reads)) {
    const { folder, file } = placeOf(model.instance, model.modelId, info.versionNumber);
    const path = `${folder}/${file}`;
    const before = dataBytes;
    const problem = await check(join(archiveDir, path), info, signal, (bytes) => {
      dataBytes += bytes;
      tell();
    });
    versions += 1;
    dataBytes = before + info.dataBytes;
    tell();
    // Deleted meanwhile, it may be gone.
    if (problem === null || !reads.hasVersion(model.instance, info.versionNumber)) continue;
    yield { modelId: info.modelId, versionNumber: info.versionNumber, problem, path };
  }
}

function totalOf(reads: RegistryReads): { totalVersions: number; totalBytes: number } {
  let totalVersions = 0;
  let totalBytes = 0;
  for (const { info } of allVersions(reads)) {
    totalVersions += 1;
    totalBytes += info.dataBytes;
  }
  return { totalVersions, totalBytes };
}

function* allVersions(reads: RegistryReads): Generator<{ model: StoredModel; info: VersionInfo }> {
  for (const modelId of [...modelIdsOf(reads)].flat()) {
    const model = reads.model(modelId);
    if (model === null) continue;
    for (let from = 1; ; ) {
      const page = reads.versions(model, { from, limit: PAGE });
      for (const info of page) yield { model, info };
      if (page.length < PAGE) break;
      from = page.at(-1)!.versionNumber + 1;
    }
  }
}

async function check(
  path: string,
  { dataBytes, dataHash }: VersionInfo,
  signal: AbortSignal,
  onRead: (bytes: number) => void,
): Promise<FileProblem | null> {
  try {
    const source = await openSource(path);
    try {
      if (source.bytes !== dataBytes) return source.bytes < dataBytes ? "short" : "long";
      const hash = createHash("sha256");
      for (let piece = await readPiece(source); piece.byteLength > 0; piece = await readPiece(source)) {
        signal.throwIfAborted();
        hash.update(piece);
        onRead(piece.byteLength);
      }
      return hash.digest("base64") === dataHash ? null : "damaged";
    } finally {
      await source.handle.close();
    }
  } catch (caught) {
    signal.throwIfAborted();
    if (caught instanceof NotAFileError) return "unreadable";
    return (caught as NodeJS.ErrnoException).code === "ENOENT" ? "missing" : "unreadable";
  }
}

const MAX_TOLD = 10_000;

async function* findUnnamed(
  reads: RegistryReads,
  { archiveDir, signal, rowComesWithinMs = ROW_COMES_WITHIN_MS }: VerifyOptions,
): AsyncGenerator<RegistryProblem> {
  const suspects: RegistryProblem[] = [];
  for (const folder of await entriesOf(archiveDir)) {
    signal.throwIfAborted();
    if (folder.kind !== "folder" || instanceOf(folder.name) === null) continue;
    for (const found of await unnamedIn(reads, archiveDir, folder.name)) {
      if (suspects.length < MAX_TOLD) suspects.push(found);
    }
  }
  for (const suspect of suspects) {
    await untilOld(join(archiveDir, suspect.path), rowComesWithinMs, signal);
    const isStillThere = (await changedAtMs(join(archiveDir, suspect.path))) !== null;
    if (isStillThere && !isNamed(reads, suspect.path)) yield suspect;
  }
}

async function unnamedIn(reads: RegistryReads, archiveDir: string, folder: string): Promise<RegistryProblem[]> {
  const modelId = modelOf(reads, folder);
  const entries: Entry[] = await entriesOf(join(archiveDir, folder)).catch(() => []);
  return entries
    .filter(({ name }) => !isNamed(reads, `${folder}/${name}`))
    .map(({ name }) => ({
      modelId,
      versionNumber: numberOf(name) === 0 ? null : numberOf(name),
      problem: "no-row" as const,
      path: `${folder}/${name}`,
    }));
}

/** The model whose folder this is now. */
function modelOf(reads: RegistryReads, folder: string): string | null {
  const instance = instanceOf(folder)!;
  const modelId = reads.modelIdOf(instance);
  return modelId !== null && folderOf(instance, modelId) === folder ? modelId : null;
}

/** A version's row, or one that says it is to go. */
function isNamed(reads: RegistryReads, path: string): boolean {
  const [folder, file] = path.split("/") as [string, string];
  const number = numberOf(file);
  if (modelOf(reads, folder) !== null && number > 0 && reads.hasVersion(instanceOf(folder)!, number)) return true;
  return reads
    .removals(0, MAX_TOLD)
    .some((removal) => removal.folder === folder && (removal.file === null || removal.file === file));
}

async function untilOld(path: string, ageMs: number, signal: AbortSignal): Promise<void> {
  const atMs = await changedAtMs(path);
  const waitMs = atMs === null ? 0 : Math.min(ageMs, atMs + ageMs - Date.now());
  if (waitMs > 0) await sleep(waitMs, signal);
}

/** Null: it is gone. */
async function changedAtMs(path: string): Promise<number | null> {
  return lstat(path).then(
    ({ ctimeMs }) => ctimeMs,
    () => null,
  );
}
