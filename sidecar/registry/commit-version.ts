/**
 * Makes a version of bytes that have all come: takes its number, puts bytes and row in their places, tells of it. Under its model's lock,
 * so numbers come one after another; a model that is gone is found so by its instance, also where one of the same name is there.
 */
import type { VersionInfo } from "../../core/contract/registry.js";
import { failpoint } from "../../core/runtime/failpoints.js";
import type { ArchivePlace, Incoming, Seal } from "./archive/archive.js";
import { placeOf } from "./places.js";
import type { VersionHeader } from "./registry.js";
import { type RegistryParts, settled } from "./registry-parts.js";
import type { NewVersion, StoredModel } from "./store/registry-store.js";
import type { TransientIncoming } from "./transient/transients.js";
import { modelUnknown, numberUsed } from "./version-rules.js";

export interface CompleteVersion {
  readonly instance: number;
  readonly header: VersionHeader;
  readonly seal: Seal;
  /** The upload in pieces it was. */
  readonly uploadId: string | null;
  /** Of an import. Default: the model's next one. */
  readonly givenNumber?: number;
}

/** @throws REGISTRY_MODEL_UNKNOWN, DISK_FULL, STORE_FAILED; the incoming file is there then, or in the sweep's hands */
export function commitArchived(
  parts: RegistryParts,
  complete: CompleteVersion,
  incoming: Incoming,
): Promise<VersionInfo> {
  const { store, locks, transients, changes, unsure } = parts;
  const { instance, header, uploadId, givenNumber } = complete;
  return locks.run(instance, async () => {
    if (unsure.has(instance)) {
      // No file may be replaced while its row may be there.
      await store.confirmVersion(instance, 0);
      unsure.delete(instance);
    }
    const info = infoOf(parts, complete, archivedNumber(parts, complete));
    const { versionNumber } = info;
    // Newer ones may be there before an imported one. Asked now: once it is durable nothing may fail.
    const newest = Math.max(versionNumber, newestNumber(parts, complete));
    const place = placeOf(instance, header.modelId, versionNumber);
    failpoint("registry.version.before_keep");
    await incoming.keep(place);
    failpoint("registry.version.after_keep");
    const insert = givenNumber === undefined ? store.insertVersion : store.importVersion;
    await insertKept(parts, { place, version: { ...info, instance, uploadId }, insert });
    failpoint("registry.version.after_commit");
    await settleKept(parts, place);
    transients.setNewest(instance, newest);
    changes.tell({ type: "version-created", info });
    return info;
  });
}

/** @throws REGISTRY_MODEL_UNKNOWN, DISK_FULL, STORE_FAILED */
export function commitTransient(
  parts: RegistryParts,
  complete: CompleteVersion,
  incoming: TransientIncoming,
): Promise<VersionInfo> {
  const { store, locks, infos, changes } = parts;
  const { instance, header } = complete;
  return locks.run(instance, async () => {
    const { nextNumber } = aliveModel(parts, complete);
    const versionNumber = await settled(store.takeNumber(instance), () =>
      aliveModel(parts, complete).nextNumber > nextNumber ? nextNumber : null,
    );
    if (versionNumber === null) throw modelUnknown(header.modelId);
    const info = infoOf(parts, complete, versionNumber);
    infos.add(instance, info);
    incoming.keep({ instance, versionNumber });
    changes.tell({ type: "version-created", info });
    return info;
  });
}

/** The model an upload began for. */
function aliveModel({ store }: RegistryParts, { instance, header }: CompleteVersion): StoredModel {
  const model = store.model(header.modelId);
  if (model?.instance !== instance) throw modelUnknown(header.modelId);
  return model;
}

/** @throws REGISTRY_MODEL_UNKNOWN, VERSION_NUMBER_USED */
function archivedNumber(parts: RegistryParts, complete: CompleteVersion): number {
  const model = aliveModel(parts, complete);
  const { givenNumber } = complete;
  if (givenNumber === undefined) return model.nextNumber;
  if (!parts.store.isNumberOpen(model, givenNumber)) throw numberUsed(givenNumber);
  return givenNumber;
}

function newestNumber(parts: RegistryParts, complete: CompleteVersion): number {
  const newest = [parts.store.newest(aliveModel(parts, complete)), parts.infos.newest(complete.instance)];
  return Math.max(...newest.map((info) => info?.versionNumber ?? 0));
}

function infoOf({ clock }: RegistryParts, { header, seal }: CompleteVersion, versionNumber: number): VersionInfo {
  const { modelId, archived, creationTimestamp, userData } = header;
  return {
    modelId,
    versionNumber,
    creationTimestamp: creationTimestamp ?? BigInt(Math.round(clock.now())) * 1_000_000n,
    archived,
    dataHash: seal.hash,
    dataBytes: seal.bytes,
    userData,
  };
}

interface KeptVersion {
  readonly place: ArchivePlace;
  readonly version: NewVersion;
  readonly insert: (version: NewVersion) => Promise<boolean>;
}

/**
 * The row of a file that is in its place. A commit that failed may be on the disk all the same, and come to light after a crash. So the
 * writer is asked by another commit before the file goes; where that fails too the file stays, for the sweep or for the same number again.
 */
async function insertKept(parts: RegistryParts, { place, version, insert }: KeptVersion): Promise<void> {
  const { store, unsure } = parts;
  try {
    if (await insert(version)) return;
  } catch (caught) {
    unsure.add(version.instance);
    const isThere = await store.confirmVersion(version.instance, version.versionNumber).catch(() => null);
    if (isThere !== null) unsure.delete(version.instance);
    if (isThere === true) return;
    if (isThere === false) await removeLeft(parts, place);
    throw caught;
  }
  await removeLeft(parts, place);
  throw modelUnknown(version.modelId);
}

/** One that could not be told from a leftover yet is told by the next who reads it. */
async function settleKept({ archive, log }: RegistryParts, place: ArchivePlace): Promise<void> {
  try {
    await archive.settle(place);
  } catch (err) {
    log.warn({ event: "version_not_settled", err }, "the file of a new version could not be marked as one yet");
  }
}

async function removeLeft({ archive, log }: RegistryParts, place: ArchivePlace): Promise<void> {
  try {
    await archive.remove(place);
  } catch (err) {
    log.warn({ event: "version_not_removed", err }, "bytes of a version that was not made could not be removed yet");
  }
}
