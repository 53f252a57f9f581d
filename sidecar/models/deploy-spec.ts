/** What a deployment's amounts mean (reference cmg-api 1.7, 3.4). Pure. */
import { SluiceError } from "../../core/contract/errors.js";
import type { DeploySpec, ReservedAmounts, ResourceAmounts } from "../../core/contract/model-management.js";
import { shown } from "./model-name.js";

/** Digits, a decimal part, one letter: what CMG takes in. Not every such text is an amount, see {@link memoryBytes}. */
export const MEMORY = /^(\d+(?:\.\d+)?)([kKmMgG]?)$/;
const BYTES = { "": 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30 } as const;
/** A hundred years, for every kind of ttl: so that every time that follows from one is a date. */
export const LONGEST_TTL_SECONDS = 3_155_760_000;
const CPUS = /^\d+(?:\.\d+)?$/;
const NANO = 1e9;

/**
 * `512m`, `1.5g`, `1024` (bytes) in whole bytes, rounded down.
 * @throws INVALID_PARAMETER for anything else, for nothing at all, and for more than can be counted
 */
export function memoryBytes(text: string): number {
  const [, amount, unit] = MEMORY.exec(text) ?? [];
  const bytes = Math.floor(Number(amount) * BYTES[(unit ?? "").toLowerCase() as keyof typeof BYTES]);
  if (Number.isSafeInteger(bytes) && bytes > 0) return bytes;
  throw new SluiceError("INVALID_PARAMETER", `memory '${shown(text)}' is no amount above 0`, {
    hint: "Write digits, a decimal part if wanted, and k, m or g: 512m, 1.5g.",
  });
}

/**
 * Processors in billionths: `0.5` is 500_000_000.
 * @throws INVALID_PARAMETER for what is no number, or rounds to nothing
 */
export function nanoCpus(text: string): number {
  const nano = CPUS.test(text.trim()) ? Math.round(Number(text) * NANO) : Number.NaN;
  if (Number.isSafeInteger(nano) && nano > 0) return nano;
  throw new SluiceError("INVALID_PARAMETER", `cpus '${shown(text)}' is no number above 0`, {
    hint: "Write a decimal number of processors: 0.5, 2.",
  });
}

/** As it is kept and shown: without nulls at any level. Members that nobody knows are left out. */
export function tidySpec(spec: DeploySpec | null): DeploySpec | null {
  const resources = spec?.resources;
  if (spec === null || resources === undefined || resources === null) return spec === null ? null : {};
  const limits = tidyAmounts(resources.limits);
  const reservations = tidyAmounts(resources.reservations);
  return {
    resources: { ...(limits === null ? {} : { limits }), ...(reservations === null ? {} : { reservations }) },
  };
}

function tidyAmounts(amounts: ResourceAmounts | ReservedAmounts | null | undefined): ReservedAmounts | null {
  if (amounts === undefined || amounts === null) return null;
  const { memory, cpus, gpus } = amounts as ReservedAmounts;
  return {
    ...(memory === undefined || memory === null ? {} : { memory }),
    ...(cpus === undefined || cpus === null ? {} : { cpus }),
    ...(gpus === undefined || gpus === null ? {} : { gpus }),
  };
}
