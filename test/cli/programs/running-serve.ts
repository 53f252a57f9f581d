/** Starts a program that announces events as JSON lines, and waits for them; every wait has a bound. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";

export interface Announcement {
  readonly event: string;
  readonly url: string;
  readonly registry?: string | null;
  readonly pid: number;
  readonly pids: { readonly sidecar: number; readonly proxies: number[] };
  readonly which?: string;
  readonly part?: string;
  readonly needsRestart?: string[];
  readonly faults?: string[];
}

export class RunningServe {
  readonly child: ChildProcess;
  /** Every JSON line so far. */
  readonly lines: Announcement[] = [];
  stderr = "";
  readonly exited: Promise<{ code: number | null; signal: string | null }>;
  readonly #waiting = new Set<() => void>();

  constructor(program: string, args: readonly string[], env: Record<string, string> = {}) {
    this.child = spawn(process.execPath, [program, ...args], {
      // Tests run beside one another: no registry takes the port everybody knows.
      env: { ...process.env, SLUICE_REGISTRY_PORT: "0", ...env },
      stdio: ["ignore", "pipe", "pipe"],
      // A process group of its own, as a shell gives it: Ctrl-C reaches all of it.
      detached: true,
    });
    createInterface({ input: this.child.stdout! }).on("line", (line) => {
      if (line.startsWith("{")) this.lines.push(JSON.parse(line) as Announcement);
      for (const check of this.#waiting) check();
    });
    this.child.stderr!.on("data", (chunk: Buffer) => {
      this.stderr += chunk.toString();
    });
    this.exited = once(this.child, "exit").then(([code, signal]) => ({ code, signal }));
  }

  /** The first line that fits, from those already there on. */
  line(fits: (line: Announcement) => boolean, timeoutMs = 15_000): Promise<Announcement> {
    return new Promise((resolve, reject) => {
      const check = () => {
        const found = this.lines.find(fits);
        if (found === undefined) return;
        clearTimeout(timer);
        this.#waiting.delete(check);
        resolve(found);
      };
      const timer = setTimeout(() => {
        this.#waiting.delete(check);
        reject(new Error(`no such line within ${timeoutMs} ms; so far ${JSON.stringify(this.lines)}; ${this.stderr}`));
      }, timeoutMs);
      this.#waiting.add(check);
      check();
    });
  }

  ready(timeoutMs?: number): Promise<Announcement> {
    return this.line((line) => line.event === "ready", timeoutMs);
  }

  count(event: string): number {
    return this.lines.filter((line) => line.event === event).length;
  }

  /** Ends it and whatever it started, whatever state it is in. */
  async end(): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) {
      this.child.kill("SIGTERM");
      const timer = setTimeout(() => this.child.kill("SIGKILL"), 5_000);
      await this.exited;
      clearTimeout(timer);
    }
  }
}

/** Polls until it holds; rejects after the bound. */
export async function eventually(
  holds: () => boolean | Promise<boolean>,
  what: string,
  timeoutMs = 10_000,
): Promise<void> {
  const untilMs = Date.now() + timeoutMs;
  while (!(await holds())) {
    if (Date.now() > untilMs) throw new Error(`not within ${timeoutMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Whether a process still does anything; a zombie that nobody has reaped does not. */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  if (process.platform !== "linux") return true;
  try {
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}
