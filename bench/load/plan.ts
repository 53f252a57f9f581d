/** What the load generator is told and what it tells; both cross a process boundary. */

export interface LoadRequest {
  readonly method: "GET" | "POST";
  /** Path and query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Sent in turn; a request without a body has none here. */
  readonly bodies: readonly Uint8Array[];
}

export interface LoadPlan {
  readonly host: string;
  readonly port: number;
  readonly request: LoadRequest;
  /** Open connections at most. */
  readonly connections: number;
  /**
   * Arrivals per second at fixed distances, whatever the answers do: latency counts from the moment a request was due, so a
   * stall is felt by every request that was due during it. Null: each connection sends as soon as it has its answer.
   */
  readonly rate: number | null;
  readonly warmupMs: number;
  readonly durationMs: number;
  readonly expect: {
    readonly statuses: readonly number[];
    /** Length of the answer's body in bytes; null: any. */
    readonly bytes: number | null;
  };
}

export interface LoadResult {
  /** Good answers in the measured time. */
  readonly answers: number;
  /** The measured time. */
  readonly durationMs: number;
  /** Latencies of good answers (`Histogram.from`). */
  readonly latencies: [bucket: number, count: number][];
  /** What went wrong, by kind, warm-up included. */
  readonly errors: Record<string, number>;
}
