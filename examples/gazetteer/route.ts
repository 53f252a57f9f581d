import type { Call, Reply } from "./http.js";

/** One route, as data. */
export interface Route {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly summary: string;
  /** Counted against `--rate-limit`, after the body was read. */
  readonly limited?: true;
  readonly handle: (call: Call) => Reply | Promise<Reply>;
}
