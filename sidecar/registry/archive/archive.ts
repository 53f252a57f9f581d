/**
 * The bytes of versions on disk: `<archive_dir>/<folder>/<file>`, and `<archive_dir>/incoming/` for what is on its way. Knows no models
 * and no numbers. The work on bytes (reading, writing, hashing) is done off the main thread.
 */
import type { Readable } from "node:stream";
import type { DataOptions } from "../registry.js";

/** Where a version's bytes lie: relative to the archive, made of safe names by whoever names it. */
export interface ArchivePlace {
  readonly folder: string;
  readonly file: string;
}

/** What a file must be. */
export interface Seal {
  /** Base64 of its SHA-256. */
  readonly hash: string;
  readonly bytes: number;
}

export interface Incoming {
  /** Of its file in `incoming/`. */
  readonly id: string;
  readonly receivedBytes: number;
  /** Resolves when more may come. The chunk is its own from now on. @throws DISK_FULL, STORE_FAILED */
  write(chunk: Uint8Array): Promise<void>;
  /** All that was written is on the disk for good; more may come. */
  sync(): Promise<void>;
  /** Nothing more comes; all is on the disk. */
  seal(): Promise<Seal>;
  /**
   * Moves it, once sealed, to its place, read-only; durable when it resolves. It is a leftover until {@link Archive.settle}: a sweep removes
   * it, and another may replace it.
   * @throws STORE_FAILED where a file that is none lies there
   */
  keep(place: ArchivePlace): Promise<void>;
  /** Ends the writing and leaves the file for {@link Archive.resume}. */
  suspend(): Promise<void>;
  /** Removes it. Idempotent. */
  discard(): Promise<void>;
}

export interface OpenFile {
  /** As {@link VersionData.stream}: whole files are hashed as they are read, parts on a check up to ten minutes old. */
  readonly stream: Readable;
}

export type FileProblem = "missing" | "short" | "long" | "damaged" | "unreadable";

/** What must stay in the archive. */
export interface NamedFiles {
  /** Whatever lies in a folder that is no model's must be claimed as a place: it is somebody else's. */
  isPlace(place: ArchivePlace): boolean;
  isIncoming(id: string): boolean;
  /** Told of a version that nothing names and that is no leftover either: it stays. */
  onUnknown(place: ArchivePlace): void;
}

export interface Archive {
  receive(): Promise<Incoming>;
  /**
   * Goes on with a suspended file, or one that a crash left; what it holds is hashed again.
   * @param heldBytes what is known to be on the disk: what lies beyond is cut off. Default: all that is there
   * @returns null where it is gone, or shorter
   */
  resume(id: string, heldBytes?: number): Promise<Incoming | null>;
  /** @throws REGISTRY_VERSION_UNKNOWN where it is gone, VERSION_DAMAGED where its size differs or a part's check fails */
  open(place: ArchivePlace, seal: Seal, options: DataOptions): Promise<OpenFile>;
  /** Reads all of it. Null: as it must be. @param fresh false: a check up to ten minutes old will do */
  verify(place: ArchivePlace, seal: Seal, options: { readonly fresh: boolean }): Promise<FileProblem | null>;
  /** A row names it from now on. */
  settle(place: ArchivePlace): Promise<void>;
  remove(place: ArchivePlace): Promise<void>;
  /** With all versions in it; it stays where it holds anything else, which is not ours. */
  removeFolder(folder: string): Promise<void>;
  /**
   * Removes what a crash left: versions and incoming files that nothing names. Whatever is not called as ours are is left alone.
   * @returns how many
   */
  sweep(names: NamedFiles): Promise<number>;
  /** For programs that read it themselves. */
  pathOf(place: ArchivePlace): string;
  close(): Promise<void>;
}
