/** A Docker daemon for one test file, apart from whatever else runs on the machine, and gone afterwards. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { accessSync, constants, mkdtempSync, openSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import Docker from "dockerode";

const START_MS = 30_000;
const STOP_MS = 20_000;
const SYSTEM_FOLDERS = ["/usr/sbin", "/usr/local/sbin", "/usr/bin"];

function isInstalled(program: string): boolean {
  return [...(process.env.PATH ?? "").split(delimiter), ...SYSTEM_FOLDERS].some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** Why no daemon can be started here; undefined when one can. */
export function whyNoDaemon(): string | undefined {
  if (!isInstalled("dockerd")) return "no dockerd";
  if (process.getuid?.() !== 0) return "dockerd needs root";
  return undefined;
}

/**
 * Starts dockerd without a default bridge and without touching the firewall, so that several can run side by side; networks
 * made on it are reached from the host by the containers' addresses.
 */
export async function startDaemon(t: { teardown(fn: () => unknown): unknown }): Promise<Docker> {
  const home = mkdtempSync(join(tmpdir(), "sluice-dockerd-"));
  const socketPath = join(home, "docker.sock");
  const log = openSync(join(home, "log"), "a");
  const paths = ["--data-root", join(home, "data"), "--exec-root", join(home, "exec"), "--pidfile", join(home, "pid")];
  const apart = ["--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-masq=false"];
  const daemon = spawn("dockerd", ["--host", `unix://${socketPath}`, ...paths, ...apart], {
    stdio: ["ignore", log, log],
    env: { ...process.env, PATH: [process.env.PATH, ...SYSTEM_FOLDERS].join(delimiter) },
  });
  const ended = once(daemon, "exit");
  t.teardown(async () => {
    daemon.kill("SIGTERM");
    const backstop = setTimeout(() => daemon.kill("SIGKILL"), STOP_MS);
    await ended;
    clearTimeout(backstop);
    rmSync(home, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
  });
  const docker = new Docker({ socketPath });
  const untilMs = performance.now() + START_MS;
  for (;;) {
    try {
      await docker.ping();
      return docker;
    } catch (error) {
      if (daemon.exitCode !== null) throw new Error(`dockerd ended with ${daemon.exitCode}`, { cause: error });
      if (performance.now() > untilMs) throw new Error(`dockerd did not answer in ${START_MS} ms`, { cause: error });
      await new Promise((done) => setTimeout(done, 100));
    }
  }
}
