/** CMG's on-demand configurations (reference cmg-api 1.7): references resolved, versions kept by the store, whoever follows them told. */
import { SluiceError } from "../../core/contract/errors.js";
import type { OnDemandConfig, OnDemandCreate, OnDemandUpdate } from "../../core/contract/model-management.js";
import type { Logger } from "../../core/runtime/logger.js";
import { LONGEST_TTL_SECONDS, tidySpec } from "./deploy-spec.js";
import type { OnDemandConfigs } from "./management.js";
import { checkModelName, shown } from "./model-name.js";
import type { ModelStore, OnDemandVersion } from "./model-store.js";
import type { References } from "./references.js";

/** From `models.deployment.auto`. */
export interface OnDemandSettings {
  /** Above 0. */
  readonly defaultIdleTtlSeconds: number;
  readonly requireModelUriValidation: boolean;
}

export interface OnDemandOptions {
  readonly store: ModelStore;
  readonly references: References;
  /** Asked at every change: a reload takes effect at once. */
  readonly settings: () => OnDemandSettings;
  readonly logger: Logger;
}

export interface FollowedOnDemandConfigs extends OnDemandConfigs {
  /** Told of each name whose enabled version is another one now, once that is durable. The answer unsubscribes. */
  onChange(listener: (name: string) => void): () => void;
}

export function createOnDemandConfigs(options: OnDemandOptions): FollowedOnDemandConfigs {
  const { store, references, settings, logger } = options;
  const listeners = new Set<(name: string) => void>();

  /** After the commit: a listener that fails must not make a change look undone. */
  function tell(name: string): void {
    for (const listener of listeners) {
      try {
        listener(name);
      } catch (cause) {
        logger.error(
          { event: "listener_failed", err: cause },
          "a change of an on-demand configuration could not be told",
        );
      }
    }
  }

  /** Null where the request names none. */
  async function resolve(given: Pick<OnDemandUpdate, "model_uri" | "tracking_id">): Promise<string | null> {
    const { model_uri: modelUri, tracking_id: trackingId } = given;
    if (modelUri === null && trackingId === null) return null;
    return references.resolve({ modelUri, trackingId }, settings().requireModelUriValidation);
  }

  return {
    list: (includeDisabled) => store.configs(includeDisabled).map(onTheWire),
    get(name) {
      const version = store.enabledConfig(name);
      if (version === null) throw noneEnabled(name);
      return onTheWire(version);
    },
    history(name) {
      const versions = store.versions(name);
      if (versions.length === 0) throw unknown(`there never was an on-demand configuration of model '${shown(name)}'`);
      return versions.map(onTheWire);
    },
    async create(request: OnDemandCreate) {
      checkModelName(request.model_name);
      const modelUri = await resolve(request);
      const version = await store.createConfig({
        modelName: request.model_name,
        ...given(request, modelUri, settings()),
        replace: request.replace_enabled,
        inherit: request.inherit_config,
      });
      tell(version.modelName);
      return onTheWire(version);
    },
    async update(name, request: OnDemandUpdate) {
      const modelUri = await resolve(request);
      const version = await store.updateConfig(name, {
        ...given(request, modelUri, settings()),
        clear: {
          trackingId: request.clear_tracking_id,
          idleTtl: request.clear_idle_ttl,
          description: request.clear_description,
          deploy: request.clear_deploy,
        },
      });
      if (version === null) throw noneEnabled(name);
      tell(name);
      return onTheWire(version);
    },
    async disable(name) {
      if (!(await store.disableConfig(name))) throw noneEnabled(name);
      tell(name);
    },
    async enable(id) {
      const enabled = Number.isSafeInteger(id) ? await store.enableConfig(id) : null;
      if (enabled === null) throw unknown(`there is no on-demand configuration with id ${id}`);
      if (enabled.changed) tell(enabled.version.modelName);
      return onTheWire(enabled.version);
    },
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

function given(
  request: Pick<OnDemandUpdate, "tracking_id" | "idle_ttl" | "description" | "deploy" | "follow">,
  modelUri: string | null,
  { defaultIdleTtlSeconds }: OnDemandSettings,
) {
  return {
    modelUri,
    trackingId: request.tracking_id,
    idleTtlSeconds: request.idle_ttl === null ? null : checkIdleTtl(request.idle_ttl),
    defaultIdleTtlSeconds,
    description: request.description,
    deploy: tidySpec(request.deploy),
    follow: request.follow,
  };
}

/** @throws INVALID_PARAMETER */
function checkIdleTtl(seconds: number): number {
  if (Number.isInteger(seconds) && seconds > 0 && seconds <= LONGEST_TTL_SECONDS) return seconds;
  const message = `idle_ttl ${seconds} is no whole number of seconds from 1 to ${LONGEST_TTL_SECONDS}`;
  const item = { type: "value_error", loc: ["body", "idle_ttl"], msg: message, input: seconds, ctx: { error: {} } };
  throw new SluiceError("INVALID_PARAMETER", message, { detail: [item] });
}

function noneEnabled(name: string): SluiceError {
  return unknown(`no on-demand configuration of model '${shown(name)}' is enabled`);
}

function unknown(message: string): SluiceError {
  return new SluiceError("ON_DEMAND_UNKNOWN", message);
}

function onTheWire(version: OnDemandVersion): OnDemandConfig {
  const { trackingId, description, deploy } = version;
  return {
    id: version.id,
    model_name: version.modelName,
    model_uri: version.modelUri,
    ...(trackingId === null ? {} : { tracking_id: trackingId }),
    idle_ttl: version.idleTtlSeconds,
    ...(description === null ? {} : { description }),
    enabled: version.enabled,
    created_at: wireMicroseconds(version.createdAtUs),
    updated_at: wireMicroseconds(version.updatedAtUs),
    ...(deploy === null ? {} : { deploy }),
    ...(version.follow ? { follow: true } : {}),
  };
}

/** UTC with all six digits, so that times compare as texts. */
function wireMicroseconds(epochUs: number): string {
  const seconds = new Date(Math.floor(epochUs / 1e6) * 1_000).toISOString().slice(0, 19);
  return `${seconds}.${String(epochUs % 1_000_000).padStart(6, "0")}+00:00`;
}
