/**
 * Holds a group of processes to a limit of memory, by looking. A limit of the kernel's own (RLIMIT_DATA) would count what is only
 * reserved and end nothing: the program would meet a failed allocation and die of it in its own way.
 */
import { readFileSync } from "node:fs";
import type { Clock } from "../../../core/runtime/clock.js";
import type { ProcessGroup } from "./process-table.js";

const LOOK_MS = 500;

export interface MemoryWatchOptions {
  readonly group: ProcessGroup;
  readonly limitBytes: number;
  readonly clock: Pick<Clock, "after">;
  /** Called once, when the group uses more. */
  readonly onExcess: () => void;
}

/** @returns what ends the watch */
export function watchMemory(options: MemoryWatchOptions): () => void {
  let cancel: () => void = () => {};
  const look = () => {
    if (isAbove(options.group.pids(), options.limitBytes)) options.onExcess();
    else cancel = options.clock.after(LOOK_MS, look);
  };
  cancel = options.clock.after(LOOK_MS, look);
  return () => cancel();
}

/** Pages that processes of the group share are counted once: that is dear to find out, and is done only where it can matter. */
function isAbove(pids: readonly number[], limitBytes: number): boolean {
  return sum(pids, residentBytes) > limitBytes && sum(pids, shareBytes) > limitBytes;
}

function sum(pids: readonly number[], bytesOf: (pid: number) => number): number {
  return pids.reduce((total, pid) => total + bytesOf(pid), 0);
}

/** Without the files it maps, which the kernel takes back when it needs room. */
function residentBytes(pid: number): number {
  const status = read(`/proc/${pid}/status`);
  return (kilobytes(status, "RssAnon") ?? 0) + (kilobytes(status, "RssShmem") ?? 0);
}

function shareBytes(pid: number): number {
  const rollup = read(`/proc/${pid}/smaps_rollup`);
  const anonymous = kilobytes(rollup, "Pss_Anon");
  return anonymous === null ? residentBytes(pid) : anonymous + (kilobytes(rollup, "Pss_Shmem") ?? 0);
}

/** In bytes; null where the kernel does not tell. */
function kilobytes(text: string, key: string): number | null {
  const found = new RegExp(`^${key}:\\s+(\\d+) kB$`, "m").exec(text);
  return found === null ? null : Number(found[1]) * 1_024;
}

/** Empty for a process that has ended. */
function read(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return "";
  }
}
