/** Sluice itself, by its own command, in a data folder that dies with it. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { spawnProgram, stopChild } from "./child.js";
import type { Peer } from "./peer.js";

const START_MS = 60_000;
const main = fileURLToPath(new URL("../../cli/main.js", import.meta.url));

export interface SluiceProcess {
  readonly name: string;
  readonly pid: number;
}

export interface SluicePeer extends Peer {
  readonly processes: readonly SluiceProcess[];
}

export interface SluiceOptions {
  readonly workers: number;
  /** The one model, `bench`; not where `settings` name the models. */
  readonly upstreamPort?: number;
  /** Sections of the configuration in place of the benchmark's own. */
  readonly settings?: Readonly<Record<string, unknown>>;
  /** Calls at a time on the heavy path. */
  readonly concurrency?: number;
  /** Where the data folder is made. */
  readonly folder: string;
  /** One that is there already; it is not removed. */
  readonly dataDir?: string;
}

interface Ready {
  readonly event: string;
  readonly url: string;
  readonly pid: number;
  readonly pids: { readonly sidecar: number; readonly proxies: readonly number[] };
}

export async function startSluice(options: SluiceOptions): Promise<SluicePeer> {
  if (!existsSync(main)) throw new Error(`${main} is missing: run npm run build.`);
  const home = mkdtempSync(join(options.folder, "sluice-"));
  const concurrency = options.concurrency ?? 4;
  const config = {
    data_dir: options.dataDir ?? join(home, "data"),
    proxy: { host: "127.0.0.1", workers: options.workers },
    discovery: {
      static: [{ name: "bench", url: `http://127.0.0.1:${options.upstreamPort}`, concurrency }],
      docker: { enabled: false },
    },
    scheduler: { max_concurrent_tasks: concurrency },
    registry: { port: 0 },
    log: { level: "warn" },
    ...options.settings,
  };
  // YAML reads JSON.
  writeFileSync(join(home, "sluice.yaml"), JSON.stringify(config));
  const child = spawnProgram(
    process.execPath,
    [main, "serve", "--config", join(home, "sluice.yaml"), "--port", "0"],
    home,
  );
  const said: string[] = [];
  const say = (line: string) => {
    said.push(line);
    if (said.length > 20) said.shift();
  };
  createInterface({ input: child.stderr! }).on("line", say);
  const ready = await new Promise<Ready>((resolve, reject) => {
    const fail = (why: string) => reject(new Error(`Sluice ${why}:\n${said.join("\n")}`));
    const timer = setTimeout(() => fail(`was not ready in ${START_MS} ms`), START_MS);
    child.once("exit", (code) => fail(`ended with ${code}`));
    createInterface({ input: child.stdout! }).on("line", (line) => {
      say(line);
      if (!line.includes('"event":"ready"')) return;
      clearTimeout(timer);
      resolve(JSON.parse(line) as Ready);
    });
  });
  const url = new URL(ready.url);
  const proxies = ready.pids.proxies.map((pid, index) => ({ name: `proxy ${index + 1}`, pid }));
  return {
    name: options.workers === 1 ? "Sluice, 1 worker" : `Sluice, ${options.workers} workers`,
    host: url.hostname,
    port: Number(url.port),
    prefix: "/models/bench",
    pid: ready.pid,
    processes: [{ name: "serve", pid: ready.pid }, { name: "sidecar", pid: ready.pids.sidecar }, ...proxies],
    stop: async () => {
      await stopChild(child);
      rmSync(home, { recursive: true, force: true });
    },
  };
}
