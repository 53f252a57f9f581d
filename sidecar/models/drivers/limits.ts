/** What a model server may use, as numbers. Pure. */
import type { DeploySpec } from "../../../core/contract/model-management.js";
import { memoryBytes, nanoCpus } from "../deploy-spec.js";

export interface ServerLimits {
  /** Above it the server is ended; null: no limit. */
  readonly memoryBytes: number | null;
  /** What it is expected to need; null: unknown. */
  readonly reservedMemoryBytes: number | null;
  /** Billionths of a processor; null: no limit. */
  readonly nanoCpus: number | null;
  /** Null: what the configuration says. */
  readonly gpus: "all" | number | null;
}

/** @throws INVALID_PARAMETER for an amount that is none */
export function limitsOf(deploy: DeploySpec | null): ServerLimits {
  const { limits, reservations } = deploy?.resources ?? {};
  return {
    memoryBytes: amount(limits?.memory, memoryBytes),
    reservedMemoryBytes: amount(reservations?.memory, memoryBytes),
    nanoCpus: amount(limits?.cpus, nanoCpus),
    gpus: reservations?.gpus ?? null,
  };
}

function amount(text: string | undefined, parse: (text: string) => number): number | null {
  return text === undefined ? null : parse(text);
}

/** `512 MiB`, `1.5 GiB`. */
export function formatMemory(bytes: number): string {
  const [unit, size] = bytes >= 2 ** 30 ? ["GiB", 2 ** 30] : ["MiB", 2 ** 20];
  return `${Number((bytes / (size as number)).toFixed(1))} ${unit}`;
}
