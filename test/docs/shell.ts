import { spawn } from "node:child_process";

export interface Ended {
  /** Null after a signal. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ShellOptions {
  readonly cwd: string;
  readonly env: Record<string, string | undefined>;
  /** Killed after this. */
  readonly boundMs: number;
}

/** Runs a script in a shell of this name, and collects what it says. */
export function runScript(shell: "sh" | "bash", script: string, options: ShellOptions): Promise<Ended> {
  const { cwd, env, boundMs } = options;
  return new Promise((resolve, reject) => {
    const child = spawn(shell, ["-c", script], { cwd, env, stdio: ["ignore", "pipe", "pipe"] });
    const timer = setTimeout(() => child.kill("SIGKILL"), boundMs);
    let stdout = "";
    let stderr = "";
    child.stdout.on("data", (chunk) => (stdout += chunk));
    child.stderr.on("data", (chunk) => (stderr += chunk));
    child.once("error", reject);
    child.once("close", (code) => {
      clearTimeout(timer);
      resolve({ code, stdout, stderr });
    });
  });
}
