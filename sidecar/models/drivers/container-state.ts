/** What a container's present state means to the model it belongs to. Pure. */
import type { Config } from "../../../config/schema.js";
import { PROJECT_LABEL, projectOf, SERVICE_LABEL } from "../discovery/containers.js";
import type { ContainerDetails } from "../docker-client.js";
import type { ManagedModel } from "../managed-model.js";
import { isRunOf, startUri } from "../pin.js";
import { describeSignal } from "./driver.js";
import { formatMemory } from "./limits.js";

/** A container that was made so lately may be about to be started by whoever made it. */
const FRESH_MS = 30_000;

/** Whether Sluice may stop it: it carries our labels, and this model's name. */
export function isOurs(details: ContainerDetails, name: string, config: Config): boolean {
  const { Labels } = details.Config;
  return (
    Labels[config.labels.managed_by_label] === config.labels.managed_by_value &&
    Labels[PROJECT_LABEL] === projectOf(config) &&
    Labels[SERVICE_LABEL] === name
  );
}

/** Whether it serves what the model's definition names. Limits and image count from the next start. */
export function isMatching(details: ContainerDetails, model: ManagedModel, config: Config): boolean {
  return isRunOf(startUri(model), details.Config.Labels[config.labels.cms_model_uri_label] ?? null);
}

/** The same model as what must run exactly so: the version of its pin. */
export function pinnedAlone(model: ManagedModel): ManagedModel {
  return model.pinned === null ? model : { ...model, modelUri: model.pinned.modelUri, follow: null };
}

/** Made and not yet started: by a start that is under way elsewhere, or by one that a crash cut off. */
export function isAboutToStart({ State, Created }: ContainerDetails, now: number): boolean {
  return State.Status === "created" && Math.abs(now - Date.parse(Created)) < FRESH_MS;
}

export interface EndHints {
  /** The daemon was not there when it ended. */
  readonly wasAway: boolean;
  /** Somebody used `docker kill` or `docker stop`, as far as the daemon still knows. */
  readonly wasKilledByHand: boolean;
  /** Something in it ran out of memory, as the daemon's events say. */
  readonly wasOutOfMemory: boolean;
}

const SIGNALS: Readonly<Record<number, string>> = {
  130: "SIGINT",
  134: "SIGABRT",
  137: "SIGKILL",
  139: "SIGSEGV",
  143: "SIGTERM",
};

/** A predicate for "the model server …", fit for a caller. */
export function describeEnd({ State, HostConfig }: ContainerDetails, hints: EndHints): string {
  const limit = HostConfig.Memory > 0 ? ` (limit ${formatMemory(HostConfig.Memory)})` : "";
  if (State.OOMKilled || hints.wasOutOfMemory) return `ran out of memory${limit}`;
  const signal = SIGNALS[State.ExitCode];
  // A daemon that begins kills what ran before it: that is nobody's hand.
  if (hints.wasAway) return `ended while the Docker daemon was away (code ${State.ExitCode})`;
  if (hints.wasKilledByHand) return `was stopped by an operator (${signal ?? `code ${State.ExitCode}`})`;
  if (signal === undefined) return `exited with code ${State.ExitCode}`;
  return describeSignal(signal);
}
