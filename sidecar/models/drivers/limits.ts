/** What a model server may use, as numbers. Pure. */
import type { DeploySpec } from "../../../core/contract/model-management.js";

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

const UNITS_BYTES = { b: 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, t: 2 ** 40 } as const;
const MEMORY = /^(\d+(?:\.\d+)?)\s*([bkmgt]?)(?:i?b)?$/i;
const CPUS = /^\d*\.?\d+$/;
const NANO = 1e9;

export function limitsOf(deploy: DeploySpec | null): ServerLimits {
  const { limits, reservations } = deploy?.resources ?? {};
  return {
    memoryBytes: parseMemory(limits?.memory),
    reservedMemoryBytes: parseMemory(reservations?.memory),
    nanoCpus: parseCpus(limits?.cpus),
    gpus: reservations?.gpus ?? null,
  };
}

/** `512m`, `2g`, `1.5GiB`, `1048576`: powers of 1024, as Docker counts; null where it is none. */
export function parseMemory(amount: string | undefined): number | null {
  const [, number, unit] = MEMORY.exec(amount?.trim() ?? "") ?? [];
  if (number === undefined) return null;
  const key = (unit === "" ? "b" : unit!.toLowerCase()) as keyof typeof UNITS_BYTES;
  return Math.floor(Number(number) * UNITS_BYTES[key]);
}

function parseCpus(amount: string | undefined): number | null {
  return amount === undefined || !CPUS.test(amount.trim()) ? null : Math.round(Number(amount) * NANO);
}

/** `512 MiB`, `1.5 GiB`. */
export function formatMemory(bytes: number): string {
  const [unit, size] = bytes >= 2 ** 30 ? ["GiB", 2 ** 30] : ["MiB", 2 ** 20];
  return `${Number((bytes / (size as number)).toFixed(1))} ${unit}`;
}
