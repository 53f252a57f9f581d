/**
 * The bytes of versions on disk: `<archive_dir>/<folder>/<file>`, and `<archive_dir>/incoming/` for what is on its way. Knows no models
 * and no numbers. The work on bytes (reading, writing, hashing) is done off the main thread.
 */
import type { Readable } from "node:stream";
import type { ByteRange } from "./registry.js";

/** What a version's file is called: no name in Cogment's own layout looks like it. */
export const VERSION_FILE = /^v\d{6,}\.data$/;

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
  /** Moves it, once sealed, to its place, read-only; durable when it resolves. An older file there that no row names is replaced. */
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

export interface Archive {
  receive(): Promise<Incoming>;
  /**
   * Goes on with a suspended file, or with one that a crash left: cut to so many bytes, since only what was synced can be trusted, and
   * hashed again. Null where it is gone or shorter.
   */
  resume(id: string, bytes: number): Promise<Incoming | null>;
  /** @throws REGISTRY_VERSION_UNKNOWN where it is gone, VERSION_DAMAGED where its size differs or a part's check fails */
  open(
    place: ArchivePlace,
    seal: Seal,
    options: { readonly range?: ByteRange; readonly chunkBytes: number },
  ): Promise<OpenFile>;
  /** Reads all of it. Null: as it must be. @param fresh false: a check up to ten minutes old will do */
  verify(place: ArchivePlace, seal: Seal, options: { readonly fresh: boolean }): Promise<FileProblem | null>;
  remove(place: ArchivePlace): Promise<void>;
  /** With all versions in it ({@link VERSION_FILE}); it stays when it holds anything else, which is not ours. */
  removeFolder(folder: string): Promise<void>;
  /**
   * Removes what a crash left: versions that nothing names in the folders given, and incoming files. Whatever else lies in the archive
   * may be an archive of Cogment's own and is not looked at. @returns how many
   */
  sweep(names: {
    readonly folders: Iterable<string>;
    isPlace(place: ArchivePlace): boolean;
    isIncoming(id: string): boolean;
  }): Promise<number>;
  /** For programs that read it themselves. */
  pathOf(place: ArchivePlace): string;
  close(): Promise<void>;
}
