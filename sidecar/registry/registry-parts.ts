/** What the registry's own files work with. */
import type { Clock } from "../../core/runtime/clock.js";
import type { Logger } from "../../core/runtime/logger.js";
import type { Archive } from "./archive/archive.js";
import type { Changes } from "./changes.js";
import type { KeyedLocks } from "./keyed-locks.js";
import type { RegistrySettings } from "./registry.js";
import type { Removals } from "./removals.js";
import type { RegistryStore } from "./store/registry-store.js";
import type { TransientInfos } from "./transient/transient-infos.js";
import type { Transients } from "./transient/transients.js";
import type { UploadPlaces } from "./upload-places.js";

export interface RegistryParts {
  readonly store: RegistryStore;
  readonly archive: Archive;
  readonly transients: Transients;
  readonly infos: TransientInfos;
  readonly changes: Changes;
  /** By a model's instance: whatever makes or deletes versions of it goes one after another. */
  readonly locks: KeyedLocks;
  /** Models with a commit of which nobody knows whether it is on the disk. */
  readonly unsure: Set<number>;
  readonly removals: Removals;
  readonly places: UploadPlaces;
  readonly settings: () => RegistrySettings;
  readonly clock: Clock;
  readonly log: Logger;
}

/** A commit whose success was not heard of may have happened all the same: then it did. @throws what the write threw, where it did not */
export async function settled<Value>(write: Promise<Value>, happened: () => Value | null): Promise<Value> {
  try {
    return await write;
  } catch (caught) {
    const value = asked(happened);
    if (value === null) throw caught;
    return value;
  }
}

function asked<Value>(happened: () => Value | null): Value | null {
  try {
    return happened();
  } catch {
    // Neither write nor read: the first fault is the one to tell.
    return null;
  }
}
