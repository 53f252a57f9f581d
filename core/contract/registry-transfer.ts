/**
 * What an import or export of an archive in Cogment's layout tells, event by event: over the sidecar's socket as NDJSON, and to the
 * command. A run ends with `end`, or with `failed` when it could not go on; what is over by then is whole, and a new run does the rest.
 */
import type { ErrorCode } from "./errors.js";

export type TransferEvent = ScannedEvent | ProgressEvent | ItemEvent | EndEvent | FailedEvent;

/** How much there is. Bytes by the sizes of files, or of versions. */
export interface ScannedEvent {
  readonly event: "scanned";
  readonly models: number;
  readonly versions: number;
  readonly dataBytes: number;
}

export interface ProgressEvent {
  readonly event: "progress";
  /** Copied or found to be there since the last one. */
  readonly dataBytes: number;
}

/**
 * - `copied`: it is there now, and was not before
 * - `present`: it was there already, the same
 * - `noted`: nothing is missing, but somebody should know
 * - `left-out`: it is not there, or not as in its source
 */
export type TransferOutcome = "copied" | "present" | "noted" | "left-out";

/** Why something is left out or noted. */
export type TransferProblem =
  | "odd_name"
  | "symlink"
  | "stray"
  | "unreadable"
  | "info_missing"
  | "info_invalid"
  | "data_missing"
  | "size_differs"
  | "hash_differs"
  | "timestamp_missing"
  | "user_data_kept"
  | "conflict"
  | "transient"
  | "refused";

/** What became of one model (no number), one version, or one thing that is neither (a name alone). */
export interface ItemEvent {
  readonly event: "item";
  readonly outcome: TransferOutcome;
  readonly modelId: string | null;
  readonly versionNumber: number | null;
  /** Of a file or folder, below the archive's. */
  readonly name: string | null;
  readonly problem: TransferProblem | null;
  /** For people; null when there is no problem. */
  readonly message: string | null;
  /** Of a version. */
  readonly dataBytes: number;
}

export interface EndEvent extends TransferSummary {
  readonly event: "end";
}

export interface TransferSummary {
  readonly models: TransferCounts;
  readonly versions: TransferCounts;
  /** Of the versions copied. */
  readonly dataBytes: number;
  /** Neither models nor versions included. */
  readonly leftOut: number;
  readonly noted: number;
}

export interface TransferCounts {
  readonly copied: number;
  readonly present: number;
}

export interface FailedEvent {
  readonly event: "failed";
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint: string | null;
}

export interface ImportRequest {
  /** Absolute. */
  readonly dir: string;
  /** Models that are there already take over the archive's user data. */
  readonly replaceUserData: boolean;
}

export interface ExportRequest {
  /** Absolute. */
  readonly dir: string;
  /** Null: all. */
  readonly modelIds: readonly string[] | null;
  /** Also into a folder that holds something; what it holds stays. */
  readonly merge: boolean;
}

/** Adds the items of a run up. */
export class TransferTally {
  readonly #models = { copied: 0, present: 0 };
  readonly #versions = { copied: 0, present: 0 };
  #dataBytes = 0;
  #leftOut = 0;
  #noted = 0;

  add({ outcome, versionNumber, dataBytes }: ItemEvent): void {
    if (outcome === "left-out") this.#leftOut += 1;
    else if (outcome === "noted") this.#noted += 1;
    else {
      (versionNumber === null ? this.#models : this.#versions)[outcome] += 1;
      if (outcome === "copied") this.#dataBytes += dataBytes;
    }
  }

  get summary(): TransferSummary {
    return {
      models: { ...this.#models },
      versions: { ...this.#versions },
      dataBytes: this.#dataBytes,
      leftOut: this.#leftOut,
      noted: this.#noted,
    };
  }
}

/** An item, with nothing where nothing is said. */
export function transferItem(
  outcome: TransferOutcome,
  facts: Partial<Omit<ItemEvent, "event" | "outcome">>,
): ItemEvent {
  return {
    ...{ event: "item", outcome, modelId: null, versionNumber: null, name: null, problem: null, message: null },
    dataBytes: 0,
    ...facts,
  };
}
