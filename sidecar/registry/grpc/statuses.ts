/** Our errors as gRPC's statuses, and the words of the contract for what is not there. Pure. */
import { asSluiceError, type ErrorCode, SluiceError } from "../../../core/contract/errors.js";
import { shownId } from "../../../core/contract/registry.js";

/** gRPC's own numbers. */
export const STATUS = {
  OK: 0,
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
} as const;

export type StatusName = keyof typeof STATUS;

/** Codes that are not here are INTERNAL, as every fault of the storage is in the contract. */
const STATUS_OF: Partial<Record<ErrorCode, StatusName>> = {
  REGISTRY_ID_INVALID: "INVALID_ARGUMENT",
  INVALID_PARAMETER: "INVALID_ARGUMENT",
  VERSION_REJECTED: "INVALID_ARGUMENT",
  REGISTRY_MODEL_UNKNOWN: "NOT_FOUND",
  REGISTRY_VERSION_UNKNOWN: "NOT_FOUND",
  REGISTRY_IN_USE: "FAILED_PRECONDITION",
  REGISTRY_BUSY: "RESOURCE_EXHAUSTED",
  VERSION_TOO_LARGE: "RESOURCE_EXHAUSTED",
  VERSION_DAMAGED: "DATA_LOSS",
  SHUTTING_DOWN: "UNAVAILABLE",
};

/** How a call ends when not with OK. */
export class CallRefused extends Error {
  constructor(
    readonly status: StatusName,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = "CallRefused";
  }
}

/** @param doing what was being done, for the words of a fault: `creating model "x"` */
export function asRefusal(caught: unknown, doing: string): CallRefused {
  if (caught instanceof CallRefused) return caught;
  const error = asSluiceError(caught);
  const status = STATUS_OF[error.code] ?? "INTERNAL";
  const words = status === "INTERNAL" ? `unexpected error while ${doing}: ${error.message}` : error.message;
  return new CallRefused(status, words, { cause: caught });
}

export function unknownModel(modelId: string): CallRefused {
  return new CallRefused("NOT_FOUND", `no model ${shownId(modelId)} found`);
}

/** @param number as asked for: 0 and below too */
export function unknownVersion(modelId: string, number: number): CallRefused {
  if (number === 0) return new CallRefused("NOT_FOUND", `model ${shownId(modelId)} doesn't have any version yet`);
  const shown = number < 0 ? `n${number}` : `${number}`;
  return new CallRefused("NOT_FOUND", `no version "${shown}" for model ${shownId(modelId)} found`);
}

export function isMissing(caught: unknown, code: "REGISTRY_MODEL_UNKNOWN" | "REGISTRY_VERSION_UNKNOWN"): boolean {
  return caught instanceof SluiceError && caught.code === code;
}
