/** Who holds a folder, as its lock says. */
import { readFileSync, readlinkSync } from "node:fs";

export interface LockOwner {
  readonly pid: number;
  /** The kernel's start time of that process, so that a reused pid is not taken for it; null where it cannot be read. */
  readonly startTime: string | null;
  /** The machine's boot and the process table that pid stands in; null where they cannot be read. */
  readonly place: string | null;
  /** Where it serves, once it does. */
  readonly url: string | null;
}

/** This process, serving nowhere yet. */
export function ownOwner(): LockOwner {
  return { pid: process.pid, startTime: startTimeOf(process.pid), place: ownPlace(), url: null };
}

/** Null where there is none, or something else. */
export function parseOwner(path: string): LockOwner | null {
  try {
    const owner = JSON.parse(readFileSync(path, "utf8")) as Partial<LockOwner>;
    if (typeof owner.pid !== "number") return null;
    const { pid, startTime = null, place = null, url = null } = owner;
    return { pid, startTime, place, url };
  } catch {
    return null;
  }
}

/** Pids alone do not tell: every container has a process 1. */
export function isSameOwner(one: LockOwner | null, other: LockOwner | null): boolean {
  return one?.pid === other?.pid && one?.startTime === other?.startTime && one?.place === other?.place;
}

/** True while the process that wrote the lock lives. */
export function isAlive(owner: LockOwner): boolean {
  try {
    process.kill(owner.pid, 0);
  } catch (caught) {
    if ((caught as NodeJS.ErrnoException).code !== "EPERM") return false;
  }
  const startTime = startTimeOf(owner.pid);
  return startTime === null || owner.startTime === null || startTime === owner.startTime;
}

/** Where pids mean the same as here; null where that cannot be told. */
function ownPlace(): string | null {
  try {
    const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
    return `${boot} ${readlinkSync("/proc/self/ns/pid")}`;
  } catch {
    return null;
  }
}

/** Field 22 of /proc/<pid>/stat; the command name before it may hold blanks and brackets. A zombie counts as gone. */
function startTimeOf(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" ? "gone" : (fields[19] ?? null);
  } catch {
    return null;
  }
}
