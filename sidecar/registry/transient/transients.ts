/**
 * The bytes of transient versions: in memory under the limits of `cache_max_items` and `cache_max_bytes`, or in a spill file that dies
 * with the process. Knows no models' names; which numbers there are and which one is a model's newest is told to it.
 */
import type { OpenFile, Seal } from "../archive/archive.js";
import type { DataOptions } from "../registry.js";

/** A version of one model: the model by its row, which is never another one's. */
export interface TransientKey {
  readonly instance: number;
  readonly versionNumber: number;
}

/** Bytes on their way in; they count among the bytes held. Always end it by keep or discard. */
export interface TransientIncoming {
  readonly receivedBytes: number;
  /** Resolves when more may come. The chunk is its own from now on. @throws DISK_FULL, STORE_FAILED (a spill file's) */
  write(chunk: Uint8Array): Promise<void>;
  /** Nothing more comes. */
  seal(): Promise<Seal>;
  /** Once sealed: it is there under this key from now on, as its model's newest. Takes no time and cannot fail. Others may be evicted by it. */
  keep(key: TransientKey): void;
  /** Idempotent. */
  discard(): Promise<void>;
}

export interface Transients {
  /** @param bytes how many will come: big ones go to a spill file from their beginning */
  receive(bytes: number): Promise<TransientIncoming>;
  /** A hit makes it the last to be evicted; null where it is gone. Goes on when the version is removed or evicted meanwhile. */
  open(key: TransientKey, options: DataOptions): Promise<OpenFile | null>;
  /** It was asked for: the last to be evicted. */
  touch(key: TransientKey): void;
  remove(key: TransientKey): void;
  /**
   * A model's newest version is this one now, archived or transient; 0: it has none. A transient one that is its model's newest is never
   * evicted; over the byte limit it moves to a spill file. Others may be evicted by this.
   */
  setNewest(instance: number, versionNumber: number): void;
  /** Called once for each version that was evicted, before the call that evicted it returns. */
  onEvicted(listener: (key: TransientKey) => void): void;
  close(): Promise<void>;
}
