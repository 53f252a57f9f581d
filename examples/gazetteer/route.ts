import type { Call, Reply } from "./http.js";

/** One route, as data. */
export interface Route {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly summary: string;
  /** Counted against `--rate-limit`; a refusal comes after the body was read, or at once where the body never ends. */
  readonly limited?: "after-body" | "at-once";
  readonly handle: (call: Call) => Reply | Promise<Reply>;
}
