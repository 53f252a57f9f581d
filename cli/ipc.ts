/** What the supervisor and its children say to each other over Node's IPC channel. */
import type { Config } from "../config/schema.js";
import type { MetricObject } from "../core/runtime/metrics.js";

/** Set for children of `sluice serve`: they take their configuration from the supervisor and leave terminal signals to it. */
export const SUPERVISED_VARIABLE = "SLUICE_SUPERVISED";

/** A child runs and wants its {@link ConfigMessage}. It must ask: what a cluster worker is told before it listens is lost. */
export interface HelloMessage {
  readonly type: "hello";
}

/** A child's answer to being started: it serves. A proxy names the address it listens on. */
export interface ReadyMessage {
  readonly type: "ready";
  readonly address?: string | Place;
  /** The sidecar's: where its model registry listens. */
  readonly registry?: Place;
}

export interface Place {
  readonly host: string;
  readonly port: number;
}

/** A proxy has the sidecar's route table: it knows every model. */
export interface FollowingMessage {
  readonly type: "following";
}

/** The sidecar's event loop turns; said every {@link BEAT_MS} once it serves. */
export interface BeatMessage {
  readonly type: "beat";
}

export const BEAT_MS = 1_000;

/** A child cannot start, and why; it exits right after. */
export interface FailedMessage {
  readonly type: "failed";
  readonly code: string | null;
  readonly message: string;
}

/** The answer to a {@link HelloMessage}. */
export interface ConfigMessage {
  readonly type: "config";
  /** The one the supervisor began with. */
  readonly config: Config;
  /** The free port that the sidecar before this one took for the registry; null: there was none. */
  readonly registryPort: number | null;
}

/** A proxy asks for everybody's metrics; the answer carries its id. */
export interface MetricsQuestion {
  readonly type: "metrics-all";
  readonly id: number | string;
}

/** The supervisor asks one proxy for its own metrics. */
export interface MetricsRequest {
  readonly type: "metrics-get";
  readonly id: number;
}

export interface MetricsReply {
  readonly type: "metrics";
  readonly id: number;
  readonly metrics: MetricObject[];
}

export interface MetricsAnswer extends MetricsQuestion {
  readonly text: string;
}

export type FromChild =
  | HelloMessage
  | ReadyMessage
  | FollowingMessage
  | BeatMessage
  | FailedMessage
  | MetricsQuestion
  | MetricsReply;
export type ToChild = ConfigMessage | MetricsRequest | MetricsAnswer;
