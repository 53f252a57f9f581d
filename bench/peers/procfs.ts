/** Memory and processor time of other processes, from Linux's /proc; elsewhere all of it is unknown (NaN). */
import { readFileSync, writeFileSync } from "node:fs";

const MIB = 2 ** 20;
/** USER_HZ: 100 on every Linux that Node supports. */
const TICKS_PER_SECOND = 100;

function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

function readStatusMib(pid: number, key: "VmRSS" | "VmHWM"): number {
  const found = new RegExp(`^${key}:\\s+(\\d+) kB$`, "m").exec(read(`/proc/${pid}/status`) ?? "");
  return found === null ? Number.NaN : (Number(found[1]) * 1024) / MIB;
}

/** Resident memory, in MiB. */
export const readRssMib = (pid: number) => readStatusMib(pid, "VmRSS");
/** The most that was resident since `resetPeak`, in MiB. */
export const readPeakMib = (pid: number) => readStatusMib(pid, "VmHWM");

/** Makes the peak start again from what is resident now. */
export function resetPeak(pid: number): void {
  writeFileSync(`/proc/${pid}/clear_refs`, "5");
}

/** A process and everything below it. */
export function listTree(pid: number): number[] {
  const children = (read(`/proc/${pid}/task/${pid}/children`) ?? "").split(" ").filter((word) => word !== "");
  return [pid, ...children.flatMap((child) => listTree(Number(child)))];
}

/** Processor time used so far by a process and those below it, in seconds. */
export function readCpuSeconds(pid: number): number {
  let ticks = 0;
  for (const each of listTree(pid)) {
    const stat = read(`/proc/${each}/stat`);
    if (stat === undefined) return Number.NaN;
    // The second field is the name in brackets and may hold anything; user and system time are the 12th and 13th after it.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    ticks += Number(fields[11]) + Number(fields[12]);
  }
  return ticks / TICKS_PER_SECOND;
}
