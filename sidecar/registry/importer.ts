/** How versions come in that have a number already. The registry's own side of imports; callers see {@link Registry}. */
import type { Registry, Upload, VersionHeader } from "./registry.js";

export interface ImportHeader extends Omit<VersionHeader, "archived" | "dataHash" | "creationTimestamp"> {
  readonly versionNumber: number;
  readonly dataHash: string;
  readonly creationTimestamp: bigint;
}

export interface Importer {
  /**
   * An upload whose commit makes the archived version of this number; new versions of the model get greater ones from then on. Numbers
   * that an import has skipped stay open for another one.
   * @throws as {@link Registry.create}, and VERSION_NUMBER_USED for a number that this model has, or had; the commit too
   */
  create(header: ImportHeader): Promise<Upload>;
}

/** What an import works on. */
export interface ImportTarget {
  readonly registry: Registry;
  readonly importer: Importer;
}
