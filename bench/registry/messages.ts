/** What the benchmark says to the processes it is made of. */

/** To a server. */
export type ServerOrder =
  /** The peak of its memory and the longest pause of its event loop begin anew. */
  { readonly type: "begin" } | { readonly type: "end" };

export interface ServerReady {
  readonly port: number;
}

export interface ServerState {
  /** The event loop's longest pause since `begin`, in milliseconds, less the time in which it waited for a core. */
  readonly pauseMs: number;
  /** Of the whole process, from its start. */
  readonly cpuSeconds: number;
}

/** To the client. Each is answered with a {@link ClientResult}. */
export type ClientOrder =
  | { readonly type: "upload" | "download"; readonly port: number; readonly shape: Shape }
  /** Deletes what was uploaded. */
  | { readonly type: "forget"; readonly port: number }
  | { readonly type: "watch"; readonly port: number; readonly watchers: number; readonly rounds: number }
  | { readonly type: "list"; readonly port: number; readonly pageSize: number };

/** From the registry's server, unasked: a version of {@link WATCHED_MODEL} was committed, by the clock of all processes of this machine. */
export interface Committed {
  readonly committedAtMs: number;
}

export interface Shape {
  readonly bytes: number;
  readonly atATime: number;
  /** Of each of those. */
  readonly times: number;
}

export interface ClientResult {
  readonly seconds: number;
  /** Bytes moved, versions seen or rows listed. */
  readonly count: number;
  /** In milliseconds: how long each call took; where versions are watched, when each watcher saw each, by the clock of the machine. */
  readonly timesMs: readonly number[];
  readonly fault: string | null;
}

export const MODEL = "bench";
export const LISTED_MODEL = "listed";
export const WATCHED_MODEL = "watched";
/** Of one message; below the 4 MiB that clients take. */
export const CHUNK_BYTES = 2 * 1024 * 1024;
