/** Under which address others reach this machine, as far as it can tell by itself. */
import { lookup } from "node:dns/promises";
import { hostname, type NetworkInterfaceInfo, networkInterfaces } from "node:os";
import { awake, settledWithin } from "../../../core/runtime/within.js";

const LOOKUP_TIMEOUT_MS = 5_000;

/** The first IPv4 address that its own name stands for, else the first of its network interfaces; null when there is none. */
export async function discoverAddress(): Promise<string | null> {
  const named = lookup(hostname(), { all: true, family: 4 }).then(
    (found) => found.map(({ address }) => address),
    () => [],
  );
  const interfaces = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
  return pickAddress(await settledWithin(awake, LOOKUP_TIMEOUT_MS, named, () => []), interfaces);
}

type Interface = Pick<NetworkInterfaceInfo, "address" | "family" | "internal">;

/** Neither loopback nor what a machine gives itself when nobody else does. */
export function pickAddress(named: readonly string[], interfaces: readonly Interface[]): string | null {
  const outer = interfaces.filter(({ family, internal }) => family === "IPv4" && !internal);
  return [...named, ...outer.map(({ address }) => address)].find((each) => !/^(127|169\.254|0)\./.test(each)) ?? null;
}

/** Addresses that stand for all of a machine's own. */
export function isWildcard(host: string): boolean {
  return host === "0.0.0.0" || host === "::" || host === "[::]";
}
