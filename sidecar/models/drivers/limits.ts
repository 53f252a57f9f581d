/** What a model server may use, as numbers. Pure. */
import type { DeploySpec } from "../../../core/contract/model-management.js";
import { memoryBytes, nanoCpus } from "../deploy-spec.js";
import { StartRefused } from "./driver.js";

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

/** What an amount that is none sets is null: only {@link checkLimits} refuses, since what runs is looked at as well. */
export function limitsOf(deploy: DeploySpec | null): ServerLimits {
  return readLimits(deploy, (text, parse) => {
    try {
      return parse(text);
    } catch {
      return null;
    }
  });
}

/** Amounts are taken as any text and looked at when a server is started. @throws StartRefused for one that is none */
export function checkLimits(deploy: DeploySpec | null): void {
  try {
    readLimits(deploy, (text, parse) => parse(text));
  } catch (cause) {
    throw new StartRefused((cause as Error).message, cause);
  }
}

type Read = (text: string, parse: (text: string) => number) => number | null;

function readLimits(deploy: DeploySpec | null, read: Read): ServerLimits {
  const { limits, reservations } = deploy?.resources ?? {};
  const amount = (text: string | undefined, parse: (text: string) => number) =>
    text === undefined ? null : read(text, parse);
  return {
    memoryBytes: amount(limits?.memory, memoryBytes),
    reservedMemoryBytes: amount(reservations?.memory, memoryBytes),
    nanoCpus: amount(limits?.cpus, nanoCpus),
    gpus: reservations?.gpus ?? null,
  };
}

/** `512 MiB`, `1.5 GiB`. */
export function formatMemory(bytes: number): string {
  const [unit, size] = bytes >= 2 ** 30 ? ["GiB", 2 ** 30] : ["MiB", 2 ** 20];
  return `${Number((bytes / (size as number)).toFixed(1))} ${unit}`;
}
