/** One version of an archive of Cogment's into the registry: whole and as its info says, or not at all. */
import { join } from "node:path";
import { SluiceError } from "../../core/contract/errors.js";
import type { VersionInfo } from "../../core/contract/registry.js";
import type { ItemEvent, ProgressEvent, TransferProblem } from "../../core/contract/registry-transfer.js";
import { transferItem } from "../../core/contract/registry-transfer.js";
import { failpoint } from "../../core/runtime/failpoints.js";
import type { PlannedVersion } from "./archive-plan.js";
import {
  MAX_INFO_BYTES,
  NotAFileError,
  type OpenSource,
  openSource,
  readInfoText,
  readPiece,
} from "./cogment-folder.js";
import { type CogmentVersion, InfoFault, readVersionInfo } from "./cogment-info.js";
import { versionFilesOf } from "./cogment-names.js";
import type { ImportTarget } from "./importer.js";
import type { Upload } from "./registry.js";

export interface VersionSource {
  /** The archive's folder. */
  readonly dir: string;
  readonly modelId: string;
  readonly version: PlannedVersion;
}

type VersionEvent = ProgressEvent | ItemEvent;

/** Ends with its item. @throws what keeps everything else from coming in too: DISK_FULL, STORE_FAILED, REGISTRY_BUSY; the signal's reason */
export async function* importVersion(
  source: VersionSource,
  target: ImportTarget,
  signal: AbortSignal,
): AsyncGenerator<VersionEvent> {
  const { modelId, version } = source;
  const of = { modelId, versionNumber: version.versionNumber };
  try {
    yield* copyVersion(source, target, signal);
  } catch (caught) {
    const { problem, message } = describeProblem(caught);
    yield transferItem("left-out", { ...of, problem, message });
  }
}

async function* copyVersion(
  source: VersionSource,
  target: ImportTarget,
  signal: AbortSignal,
): AsyncGenerator<VersionEvent> {
  const { modelId, version, dir } = source;
  const { versionNumber } = version;
  const names = versionFilesOf(modelId, versionNumber);
  const facts = checkInfo(source, await readInfo(source, join(dir, modelId, names.info)));
  const of = { modelId, versionNumber };
  const present = findVersion(target, modelId, versionNumber);
  if (present !== null) {
    checkSame(present, facts.dataHash);
    yield { event: "progress", dataBytes: present.dataBytes };
    yield transferItem("present", { ...of, dataBytes: present.dataBytes });
    return;
  }
  if (!version.hasData) throw new Problem("data_missing", `there is no ${names.data}`);
  const data = await openSource(join(dir, modelId, names.data));
  try {
    const dataBytes = checkSize(data, facts);
    failpoint("import.before_version");
    yield* copyBytes(data, await target.importer.create({ ...of, ...facts, dataBytes }), signal);
    failpoint("import.after_version");
    yield transferItem("copied", { ...of, dataBytes });
    if (facts.isTimestampMissing) {
      yield transferItem("noted", {
        ...of,
        problem: "timestamp_missing",
        message: "its info has no creation_timestamp; it counts as made in 1970",
      });
    }
  } finally {
    await data.handle.close();
  }
}

/** Told of between pieces once so much has come. */
const TELL_EVERY_BYTES = 8 * 1024 * 1024;

async function* copyBytes(data: OpenSource, upload: Upload, signal: AbortSignal): AsyncGenerator<ProgressEvent> {
  let untold = 0;
  try {
    for (let piece = await readPiece(data); piece.byteLength > 0; piece = await readPiece(data)) {
      signal.throwIfAborted();
      // Before the piece is the upload's.
      untold += piece.byteLength;
      await upload.write(piece);
      if (untold < TELL_EVERY_BYTES) continue;
      yield { event: "progress", dataBytes: untold };
      untold = 0;
    }
    signal.throwIfAborted();
    await upload.commit();
    yield { event: "progress", dataBytes: untold };
  } finally {
    await upload.abort();
  }
}

async function readInfo({ version }: VersionSource, path: string): Promise<CogmentVersion> {
  if (!version.hasInfo) throw new Problem("info_missing", "there is data without its .yaml");
  const text = await readInfoText(path);
  if (text === null) throw new Problem("info_invalid", `its .yaml is larger than ${MAX_INFO_BYTES} bytes`);
  return readVersionInfo(text);
}

interface CheckedInfo {
  readonly creationTimestamp: bigint;
  readonly isTimestampMissing: boolean;
  readonly dataHash: string;
  readonly dataBytes: number | null;
  readonly userData: CogmentVersion["userData"];
}

/** The names of files say which version it is; the info must not say another thing. */
function checkInfo({ modelId, version }: VersionSource, info: CogmentVersion): CheckedInfo {
  if (info.modelId !== null && info.modelId !== modelId) {
    throw new Problem("info_invalid", "its .yaml is of another model");
  }
  if (info.versionNumber !== null && info.versionNumber !== version.versionNumber) {
    throw new Problem("info_invalid", `its .yaml says it is version ${info.versionNumber}`);
  }
  if (info.isTransient) throw new Problem("transient", "its .yaml says that it is transient");
  if (info.dataHash === null || !isSha256(info.dataHash)) {
    throw new Problem("info_invalid", "its .yaml has no SHA-256 in base64, so its data cannot be checked");
  }
  const { creationTimestamp, dataHash, dataBytes, userData } = info;
  const isTimestampMissing = creationTimestamp === null;
  return { creationTimestamp: creationTimestamp ?? 0n, isTimestampMissing, dataHash, dataBytes, userData };
}

function isSha256(hash: string): boolean {
  const bytes = Buffer.from(hash, "base64");
  return bytes.byteLength === 32 && bytes.toString("base64") === hash;
}

function checkSize({ bytes }: OpenSource, { dataBytes }: CheckedInfo): number {
  if (dataBytes !== null && dataBytes !== bytes) {
    throw new Problem("size_differs", `its .data has ${bytes} bytes, its .yaml says ${dataBytes}`);
  }
  return bytes;
}

function findVersion({ registry }: ImportTarget, modelId: string, versionNumber: number): VersionInfo | null {
  try {
    return registry.version(modelId, versionNumber);
  } catch (caught) {
    if (caught instanceof SluiceError && caught.code === "REGISTRY_VERSION_UNKNOWN") return null;
    throw caught;
  }
}

function checkSame(present: VersionInfo, dataHash: string): void {
  if (!present.archived) throw new Problem("conflict", "a transient version of this number is there");
  if (present.dataHash !== dataHash) throw new Problem("conflict", "a version of this number with other data is there");
}

class Problem extends Error {
  readonly problem: TransferProblem;

  constructor(problem: TransferProblem, message: string) {
    super(message);
    this.problem = problem;
  }
}

/** Faults of one item, in words. @throws every other one again */
export function describeProblem(caught: unknown): { problem: TransferProblem; message: string } {
  if (caught instanceof Problem) return caught;
  if (caught instanceof InfoFault) return { problem: "info_invalid", message: `its .yaml: ${caught.message}` };
  if (caught instanceof NotAFileError) return { problem: "unreadable", message: caught.message };
  if (caught instanceof SluiceError) {
    const problem = REFUSALS[caught.code];
    if (problem !== undefined) return { problem, message: caught.message };
  } else {
    const { code } = caught as { code?: unknown };
    // The file system's; Node's own would be a fault of ours.
    if (typeof code === "string" && !code.startsWith("ERR_")) {
      return { problem: "unreadable", message: `it cannot be read: ${code}` };
    }
  }
  throw caught;
}

/** What the registry refuses of one version, and why another one may still come in. */
const REFUSALS: { readonly [code: string]: TransferProblem } = {
  VERSION_REJECTED: "hash_differs",
  VERSION_TOO_LARGE: "refused",
  VERSION_NUMBER_USED: "conflict",
  INVALID_PARAMETER: "refused",
  REGISTRY_ID_INVALID: "refused",
  REGISTRY_MODEL_UNKNOWN: "refused",
};
