/**
 * The machine's processes as `/proc` shows them, and ending a group of them.
 *
 * A pid alone names nobody: it is used again. A {@link ProcessIdentity} is checked before every signal, so that a process that only
 * inherited the number is never touched.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { sleep } from "../../../core/runtime/clock.js";

/** Present in the environment of every server we start and of what it starts in turn. */
export const RUN_ID_VARIABLE = "SLUICE_MODEL_RUN";

export interface ProcessIdentity {
  /** Also the number of its process group, which it leads. */
  readonly pid: number;
  /** Clock ticks between the machine's start and its own: field 22 of `/proc/<pid>/stat`; null where there is no `/proc`. */
  readonly startTime: string | null;
  readonly runId: string;
}

export interface ProcessRow {
  readonly pid: number;
  readonly group: number;
  readonly startTime: string;
  /** False for one that has ended and only waits to be collected. */
  readonly isAlive: boolean;
}

const HAS_PROC = existsSync("/proc/self/stat");

/** The row of one process, or null when there is none (or no `/proc`). */
export function readProcess(pid: number): ProcessRow | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "latin1");
    // The program's name stands in parentheses and may itself hold spaces and parentheses.
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    const [state, , group] = fields;
    return { pid, group: Number(group), startTime: fields[19]!, isAlive: state !== "Z" && state !== "X" };
  } catch {
    return null;
  }
}

/** Changes with every start of the machine, so that a start time is unique together with it; empty where there is no `/proc`. */
export function bootId(): string {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim();
  } catch {
    return "";
  }
}

/** True when the process is alive and still the one that was started. */
export function isSame(identity: ProcessIdentity): boolean {
  const row = readProcess(identity.pid);
  return row?.isAlive === true && row.startTime === identity.startTime;
}

/** The leader of the group that carries the run's id in its environment, for a start that was cut off before its pid was written down. */
export function findRun(runId: string): ProcessIdentity | null {
  for (const row of allProcesses()) {
    if (row.isAlive && row.group === row.pid && carriesRun(row.pid, runId)) {
      return { pid: row.pid, startTime: row.startTime, runId };
    }
  }
  return null;
}

function allProcesses(): ProcessRow[] {
  if (!HAS_PROC) return [];
  const rows: ProcessRow[] = [];
  for (const name of readdirSync("/proc")) {
    const row = /^\d+$/.test(name) ? readProcess(Number(name)) : null;
    if (row !== null) rows.push(row);
  }
  return rows;
}

function carriesRun(pid: number, runId: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/environ`, "latin1").split("\0").includes(`${RUN_ID_VARIABLE}=${runId}`);
  } catch {
    return false;
  }
}

/** The group of one server. Remembers its members while their leader vouches for them. */
export class ProcessGroup {
  readonly identity: ProcessIdentity;
  readonly #known = new Map<number, string>();

  constructor(identity: ProcessIdentity) {
    this.identity = identity;
  }

  /**
   * Ends the group: SIGTERM, and SIGKILL for what is left after `graceMs`. Resolves when nothing of it lives.
   * @returns false when something survived even SIGKILL for 5 s (it hangs in the kernel)
   */
  async end(graceMs: number): Promise<boolean> {
    if (!HAS_PROC) return this.#endBlindly(graceMs);
    if (graceMs > 0) {
      this.#signal("SIGTERM");
      if (await this.#isGoneWithin(graceMs)) return true;
    }
    this.#signal("SIGKILL");
    return this.#isGoneWithin(KILL_GRACE_MS);
  }

  /** Those of it that live. */
  pids(): number[] {
    return this.#members().map(({ pid }) => pid);
  }

  #members(): ProcessRow[] {
    const { pid, startTime, runId } = this.identity;
    const leader = readProcess(pid);
    // The number was used again, which happens only once the whole group is gone.
    if (leader !== null && leader.startTime !== startTime) return [];
    const group = allProcesses().filter((row) => row.isAlive && row.group === pid);
    const ours = group.filter(
      (row) => leader !== null || this.#known.get(row.pid) === row.startTime || carriesRun(row.pid, runId),
    );
    for (const row of ours) this.#known.set(row.pid, row.startTime);
    return ours;
  }

  #signal(signal: "SIGTERM" | "SIGKILL"): void {
    for (const { pid } of this.#members()) sendSignal(pid, signal);
  }

  async #isGoneWithin(waitMs: number): Promise<boolean> {
    const until = Date.now() + waitMs;
    for (;;) {
      const left = this.#members();
      if (left.length === 0) return true;
      if (Date.now() >= until) return false;
      await sleep(GONE_POLL_MS);
    }
  }

  /** Without `/proc` only our own children get here, whose numbers cannot be used again before we have collected them. */
  async #endBlindly(graceMs: number): Promise<boolean> {
    for (const [signal, waitMs] of [
      ["SIGTERM", graceMs],
      ["SIGKILL", KILL_GRACE_MS],
    ] as const) {
      const until = Date.now() + waitMs;
      if (!sendSignal(-this.identity.pid, signal)) return true;
      while (Date.now() < until) {
        if (!sendSignal(-this.identity.pid, 0)) return true;
        await sleep(GONE_POLL_MS);
      }
    }
    return false;
  }
}

const GONE_POLL_MS = 25;
const KILL_GRACE_MS = 5_000;

function sendSignal(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    process.kill(pid, signal);
    return true;
  } catch {
    return false;
  }
}
