/** What a start does about files in the archive that no row names: a crash's leftovers go, what is somebody else's is left alone. */
import type { Logger } from "../../core/runtime/logger.js";
import { surveyArchive } from "./archive/archive-survey.js";
import { MAX_VERSION_NUMBER } from "./cogment/cogment-names.js";
import { folderOf, instanceOf, numberOf } from "./places.js";
import type { RegistryParts } from "./registry-parts.js";
import type { RegistryStore } from "./store/registry-store.js";

/**
 * Folders that no model of ours has: named, never touched. A new model must not get the name of one, so instances that would lead there
 * are left out.
 */
export async function noteStrangers({
  store,
  archiveDir,
  log,
}: {
  store: RegistryStore;
  archiveDir: string;
  log: Logger;
}): Promise<void> {
  const removed = new Set(store.removals(0, 10_000).map(({ folder }) => folder));
  const isKnown = (folder: string) => removed.has(folder) || isModels(store, folder);
  const { versions, likeOurs, foreign } = await surveyArchive(archiveDir, isKnown);
  if (likeOurs.length > 0) await store.skipInstances(Math.max(...likeOurs.map((folder) => instanceOf(folder)!)));
  if (versions.length > 0) {
    log.warn(
      { event: "versions_unknown", count: versions.length },
      "the archive holds folders of versions that the database does not know; was it restored from a backup? They are left alone",
    );
  }
  if (foreign > 0) {
    log.info(
      { event: "foreign_archive", count: foreign },
      "the archive folder holds models in Cogment's layout, which are left alone; 'sluice registry import <folder>' takes them in",
    );
  }
}

function isModels(store: RegistryStore, folder: string): boolean {
  const instance = instanceOf(folder);
  const modelId = instance === null ? null : store.modelIdOf(instance);
  return modelId !== null && folderOf(instance!, modelId) === folder;
}

/** What is left over is harmless: a start does not fail for it. */
export async function sweepArchive({ store, archive, log }: RegistryParts): Promise<void> {
  try {
    const unknown = new Map<number, number>();
    const swept = await archive.sweep({
      isPlace: ({ folder, file }) => !isModels(store, folder) || store.hasVersion(instanceOf(folder)!, numberOf(file)),
      isIncoming: (id) => store.hasIncoming(id),
      onUnknown: ({ folder, file }) => {
        const instance = instanceOf(folder)!;
        const number = numberOf(file);
        // Above it no version of ours can come to lie.
        if (number < MAX_VERSION_NUMBER) unknown.set(instance, Math.max(number, unknown.get(instance) ?? 0));
      },
    });
    for (const [instance, number] of unknown) await store.skipNumbers(instance, number);
    if (unknown.size > 0) {
      log.warn(
        { event: "versions_unknown", models: unknown.size },
        "the archive holds versions that the database does not know; was it restored from a backup? They are left alone, and so are their numbers",
      );
    }
    if (swept > 0) log.info({ event: "versions_swept", count: swept }, "removed files that a crash had left");
  } catch (err) {
    log.warn({ event: "sweep_failed", err }, "files that a crash left in the archive could not be removed yet");
  }
}
