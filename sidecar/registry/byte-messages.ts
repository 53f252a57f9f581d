/** What the main thread and the threads that work on bytes say to each other. Files are opened and closed by the main thread alone. */
import type { ErrorCode } from "../../core/contract/errors.js";

export interface ThreadSetup {
  readonly failpoints: string | null;
}

export type ToThread =
  /** Memory that later messages name; the only one that is no stream's. */
  { readonly type: "slot"; readonly slot: number; readonly memory: SharedArrayBuffer } | StreamMessage;

/** A stream's first message begins it, `end` ends it; `ended` is the thread's last word about it. */
export type StreamMessage =
  | WriteBegin
  | { readonly type: "write"; readonly id: number; readonly chunks: readonly Uint8Array[] }
  /** @param seal nothing more comes: the answer has the hash */
  | { readonly type: "sync"; readonly id: number; readonly seal: boolean }
  | ReadBegin
  /** The file's next bytes are wanted in this slot. */
  | { readonly type: "fill"; readonly id: number; readonly slot: number }
  | { readonly type: "end"; readonly id: number };

/** Bytes that will be written behind the first `heldBytes` of a file, which are hashed first. Without a file they are hashed and sent back. */
export interface WriteBegin {
  readonly type: "write.begin";
  readonly id: number;
  readonly file: number | null;
  readonly heldBytes: number;
  /** Whether a sync must bring it to the disk; what dies with the process need not be there. */
  readonly isDurable: boolean;
}

export interface ReadBegin {
  readonly type: "read.begin";
  readonly id: number;
  readonly file: number;
  readonly first: number;
  readonly bytes: number;
  /** What is put into one slot never reaches into the next piece. */
  readonly pieceBytes: number;
  /** `plain`: sent as they are. `checked`: the last of them are sent once all match the hash. `hash`: hashed and not sent. */
  readonly mode: "plain" | "checked" | "hash";
  /** Base64 of the SHA-256 they must have, where they are checked. */
  readonly hash: string | null;
}

export type FromThread =
  /** @param chunks those that were only hashed */
  | { readonly type: "written"; readonly id: number; readonly bytes: number; readonly chunks?: readonly Uint8Array[] }
  | { readonly type: "synced"; readonly id: number; readonly hash: string | null }
  | { readonly type: "filled"; readonly id: number; readonly slot: number; readonly bytes: number }
  | { readonly type: "complete"; readonly id: number; readonly hash: string | null }
  | { readonly type: "fault"; readonly id: number; readonly fault: ByteFault }
  | { readonly type: "ended"; readonly id: number };

/** An error without its stack, fit for a thread's edge. */
export interface ByteFault {
  readonly code: ErrorCode;
  readonly message: string;
  /** In one line, for the log. */
  readonly cause: string | null;
}
