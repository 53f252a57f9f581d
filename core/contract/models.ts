/** What both sides know of a model server. The sidecar owns these states; everything the proxy holds is a copy. */

/**
 * - `absent`: known, not running; the first request starts it (on demand)
 * - `starting`: a start is under way, or a static server has not answered its first readiness check yet
 * - `ready`: routable
 * - `draining`: no new requests; it stops when what is in flight has ended
 * - `unreachable`: it was ready and its port refuses now
 * - `failed`: the last start failed; the next request tries again
 */
export const MODEL_STATES = ["absent", "starting", "ready", "draining", "unreachable", "failed"] as const;
export type ModelState = (typeof MODEL_STATES)[number];

export const MODEL_SOURCES = ["static", "process", "docker"] as const;
export type ModelSource = (typeof MODEL_SOURCES)[number];

export const DEPLOYMENT_TYPES = ["auto", "manual", "static"] as const;
export type DeploymentType = (typeof DEPLOYMENT_TYPES)[number];

export interface ModelEntry {
  readonly name: string;
  readonly source: ModelSource;
  readonly state: ModelState;
  /** Base URL without trailing slash; null while nothing runs. */
  readonly url: string | null;
  /** Another name requests may use: the container's IP on the configured network. */
  readonly address: string | null;
  /** True when a request may start it. */
  readonly onDemand: boolean;
  /** How many queued or gated calls it gets at a time. */
  readonly concurrency: number;
  readonly modelType: string | null;
  readonly modelUri: string | null;
  /** CMG's kind of deployment; absent means `auto` for a process of ours and `static` for everything else. */
  readonly deploymentType?: DeploymentType;
  /** Docker's id or `process-<pid>` of what Sluice itself started; absent while nothing runs and for everything else. */
  readonly serverId?: string;
  /** Why it is `failed` or `unreachable`, in words fit for a caller; never log text. */
  readonly problem: string | null;
}

/** A model's name as it may stand in a path, a container name and a label (reference cmg-api 3.3, widened as its quirk 19 advises). */
export const MODEL_NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,254}$/;

/** CMG's words for a model that cannot be had: clients look for `not available`, `running models` and `on-demand models`. */
export function unavailableMessage(name: string, models: Iterable<ModelEntry>): string {
  const running: string[] = [];
  const onDemand: string[] = [];
  for (const model of models) {
    if (model.state === "ready") running.push(model.name);
    else if (model.onDemand) onDemand.push(model.name);
  }
  const list = (names: string[]) =>
    `[${names
      .sort()
      .map((each) => `'${each}'`)
      .join(", ")}]`;
  return `Model '${name}' is not available. Running models: ${list(running)}; on-demand models: ${list(onDemand)}. See /models.`;
}
