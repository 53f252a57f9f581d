/** What may be deployed by hand, under which name and for how long (reference cmg-api 1.6, 3.7): the checks, in the order clients know. */
import { SluiceError } from "../../core/contract/errors.js";
import type { DeployRequest } from "../../core/contract/model-management.js";
import { LONGEST_TTL_SECONDS } from "./deploy-spec.js";
import { checkModelName } from "./model-name.js";
import type { Deployment } from "./model-store.js";
import type { References } from "./references.js";

/** From `models.deployment.manual`. */
export interface DeployRules {
  /** Above 0; not compared with the longest. */
  readonly defaultTtlSeconds: number;
  readonly allowTtlOverride: boolean;
  /** Null: any. */
  readonly maxTtlSeconds: number | null;
  readonly requireModelUriValidation: boolean;
}

export interface DeployCheck {
  readonly rules: DeployRules;
  readonly references: References;
  /** Whether the name is another's: a server of it runs, whoever started it, or is being deployed, or the configuration names it. */
  readonly isTaken: (name: string) => boolean;
  /** Epoch milliseconds. */
  readonly now: () => number;
}

/** CMG's word for "for ever". */
const FOR_EVER = -1;

/**
 * The deployment a request asks for; its model's type is not looked up here. `ttlSeconds` null is {@link FOR_EVER}.
 * @throws MODEL_NAME_INVALID, REFERENCE_MISSING, REFERENCE_UNKNOWN, TRACKING_UNAVAILABLE, MODEL_ALREADY_RUNNING, TTL_FORBIDDEN, TTL_TOO_LONG,
 * INVALID_PARAMETER
 */
export async function planDeployment(name: string, request: DeployRequest, check: DeployCheck): Promise<Deployment> {
  const { rules, references, isTaken, now } = check;
  checkModelName(name);
  const reference = { modelUri: request.model_uri, trackingId: request.tracking_id };
  const modelUri = await references.resolve(reference, rules.requireModelUriValidation);
  if (isTaken(name)) throw new SluiceError("MODEL_ALREADY_RUNNING", `model '${name}' is already running`);
  const ttlSeconds = appliedTtl(request.ttl, rules);
  return {
    name,
    deploymentType: "manual",
    modelUri,
    modelType: null,
    trackingId: request.tracking_id === "" ? null : request.tracking_id,
    ttlSeconds: ttlSeconds === FOR_EVER ? null : ttlSeconds,
    idleTtlSeconds: null,
    deploy: null,
    createdAtMs: now(),
  };
}

/** Seconds, or {@link FOR_EVER}. @throws TTL_FORBIDDEN, TTL_TOO_LONG, INVALID_PARAMETER */
export function appliedTtl(asked: number | null, rules: DeployRules): number {
  if (asked === null) return rules.defaultTtlSeconds;
  if (!rules.allowTtlOverride) {
    throw new SluiceError(
      "TTL_FORBIDDEN",
      `a ttl of one's own is not allowed here; ${rules.defaultTtlSeconds} s are applied`,
    );
  }
  if (asked === FOR_EVER) return FOR_EVER;
  const most = rules.maxTtlSeconds ?? LONGEST_TTL_SECONDS;
  if (asked > most) throw new SluiceError("TTL_TOO_LONG", `ttl ${asked} is longer than the maximum of ${most} s`);
  if (asked >= 1) return asked;
  throw tooShort(asked);
}

function tooShort(ttl: number): SluiceError {
  const message = `ttl ${ttl} would remove the model at once`;
  return new SluiceError("INVALID_PARAMETER", message, {
    hint: "Take a number of seconds above 0, or -1 for a model that stays.",
    detail: [{ type: "greater_than", loc: ["body", "ttl"], msg: message, input: ttl, ctx: { gt: 0 } }],
  });
}
