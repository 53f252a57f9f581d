/** What the sidecar's parts take from the configuration, in their own terms. Pure. */
import type { Config } from "../config/schema.js";
import type { DeployRules } from "./models/deployments.js";
import type { OnDemandSettings } from "./models/on-demand.js";
import type { RegistrySettings } from "./registry/registry.js";
import { LOWEST_PRIORITY } from "./scheduler/decide.js";
import type { PermitSettings } from "./scheduler/limiter.js";
import type { ClassBudget } from "./scheduler/limiter-entry.js";
import type { QueueBounds } from "./tasks/queue-bounds.js";
import type { OrderSettings } from "./tasks/store.js";

type ClassSettings = Config["scheduler"]["classes"][string];

export function queueBoundsOf({ scheduler }: Config): QueueBounds {
  return { maxTasks: scheduler.queue.max_tasks, maxBytes: scheduler.queue.max_bytes };
}

export function orderOf({ scheduler }: Config): OrderSettings {
  const { ageing, tenants } = scheduler;
  return {
    ageingMs: ageing,
    weightOf: (tenant) => (tenant !== null && Object.hasOwn(tenants, tenant) ? tenants[tenant]!.weight : 1),
  };
}

export function permitSettingsOf(config: Config): PermitSettings {
  const budgets = new Map<string, ClassBudget>();
  for (const [name, { reservoir }] of Object.entries(config.scheduler.classes)) {
    if (reservoir !== null) budgets.set(name, budgetOf(reservoir));
  }
  const entries = [...config.discovery.static, ...config.discovery.process];
  const own = new Map(entries.map(({ name, rate_limit }) => [name, rate_limit ?? config.models.rate_limit]));
  const rateOf = (model: string) => {
    const rate = own.get(model) ?? config.models.rate_limit;
    return rate === null ? null : { amount: rate.amount, perMs: rate.per };
  };
  return { maxConcurrentTasks: config.scheduler.max_concurrent_tasks, budgets, rateOf };
}

function budgetOf({ amount, refresh, increase }: NonNullable<ClassSettings["reservoir"]>): ClassBudget {
  if (increase === null) return { amount, refreshMs: refresh! };
  return { amount, increase: { amount: increase.amount, everyMs: increase.every, maximum: increase.maximum } };
}

/** The caller's wish within the class's bounds; without one the class's own priority. */
export function priorityWithin({ priority, bounds }: ClassSettings, asked: number | null): number {
  const [lowest, highest] = bounds;
  return asked === null ? priority : Math.min(Math.max(asked, lowest), highest);
}

/** Of a gated request; a class that is not configured goes last. */
export function gatePriority({ scheduler }: Config, className: string, asked: number | null): number {
  const settings = Object.hasOwn(scheduler.classes, className) ? scheduler.classes[className] : undefined;
  return settings === undefined ? LOWEST_PRIORITY : priorityWithin(settings, asked);
}

export function deployRulesOf({ models }: Config): DeployRules {
  const { default_ttl: defaultTtl, allow_ttl_override, max_ttl: maxTtl, ...rest } = models.deployment.manual;
  return {
    defaultTtlSeconds: wholeSeconds(defaultTtl),
    allowTtlOverride: allow_ttl_override,
    maxTtlSeconds: maxTtl === null ? null : wholeSeconds(maxTtl),
    requireModelUriValidation: rest.require_model_uri_validation,
  };
}

export function onDemandSettingsOf({ models }: Config): OnDemandSettings {
  const { default_idle_ttl: defaultIdleTtl, require_model_uri_validation } = models.deployment.auto;
  return {
    defaultIdleTtlSeconds: wholeSeconds(defaultIdleTtl),
    requireModelUriValidation: require_model_uri_validation,
  };
}

export function registrySettingsOf({ registry }: Config): RegistrySettings {
  const { max_version_size, cache_max_items, cache_max_bytes } = registry;
  return { maxVersionBytes: max_version_size, cacheMaxItems: cache_max_items, cacheMaxBytes: cache_max_bytes };
}

/** CMG counts in whole seconds, from 1. */
function wholeSeconds(ms: number): number {
  return Math.ceil(ms / 1_000);
}
