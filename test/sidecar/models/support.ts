/** What the tests of this folder share: a catalogue over a folder of the test's own, and real model servers. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Test } from "tap";
import { type ConfigInput, configSchema } from "../../../config/schema.js";
import { systemClock } from "../../../core/runtime/clock.js";
import { createHttpClient } from "../../../core/runtime/http.js";
import type { LogFields, Logger } from "../../../core/runtime/logger.js";
import { createModelCatalogue, type ManagedCatalogue } from "../../../sidecar/models/model-catalogue.js";

export const PROGRAM = fileURLToPath(new URL("./model-server.js", import.meta.url));

/** The command of a `discovery.process` entry that runs the test's model server. */
export function command(...switches: string[]): string[] {
  return [process.execPath, PROGRAM, "--port", "{port}", ...switches];
}

export interface LogLine extends LogFields {
  level: string;
  message: string;
}

const withFolder = new WeakSet<Test>();

/** The test's own folder; asking twice gives the same one. */
export function folderOf(t: Test): string {
  if (!withFolder.has(t)) t.testdir({});
  withFolder.add(t);
  return t.testdirName;
}

/** A logger whose lines a test can read. */
export function keepLog(): { logger: Logger; lines: LogLine[] } {
  const lines: LogLine[] = [];
  const at = (level: string) => (fields: LogFields, message: string) => void lines.push({ ...fields, level, message });
  const logger: Logger = {
    error: at("error"),
    warn: at("warn"),
    info: at("info"),
    debug: at("debug"),
    child: () => logger,
    setLevel: () => {},
  };
  return { logger, lines };
}

/** Fast intervals, no Docker; whatever is given wins. */
export function configOf(given: ConfigInput) {
  const { discovery, models, ...rest } = given;
  return configSchema.parse({
    ...rest,
    discovery: { docker: { enabled: false }, probe_interval: "100ms", recheck_interval: "100ms", ...discovery },
    models: { deployment: { auto: { health_check_timeout: "20s" } }, ...models },
  });
}

export interface Started {
  readonly catalogue: ManagedCatalogue;
  readonly lines: LogLine[];
  readonly dataDir: string;
}

export async function startCatalogue(
  t: Test,
  given: ConfigInput,
  dataDir: string = join(folderOf(t), "data"),
): Promise<Started> {
  const { logger, lines } = keepLog();
  const http = createHttpClient({ connectTimeoutMs: 2_000 });
  const catalogue = createModelCatalogue({ config: configOf(given), dataDir, logger, clock: systemClock, http });
  // As in the sidecar, where it is the servers that keep the process alive: the catalogue's own timers do not.
  const alive = setInterval(() => {}, 1_000);
  t.teardown(async () => {
    clearInterval(alive);
    await catalogue.stop(Date.now() + 2_000);
    await http.close();
  });
  await catalogue.start();
  return { catalogue, lines, dataDir };
}

/** Polls until the condition gives something, at most `limitMs`. */
export async function until<T>(
  look: () => T | undefined | false | null | Promise<T | undefined | false | null>,
  what: string,
  limitMs = 10_000,
): Promise<T> {
  const end = Date.now() + limitMs;
  for (;;) {
    const seen = await look();
    if (seen !== undefined && seen !== false && seen !== null) return seen;
    if (Date.now() > end) throw new Error(`waited ${limitMs} ms for: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** A model server that somebody else runs. */
export async function startServer(t: Test, ...switches: string[]): Promise<{ url: string; child: ChildProcess }> {
  const child = spawn(process.execPath, [PROGRAM, ...switches], { stdio: ["ignore", "pipe", "inherit"] });
  t.teardown(() => child.kill("SIGKILL"));
  const line = await new Promise<Buffer>((resolve, reject) => {
    child.stdout!.once("data", resolve);
    child.once("exit", (code) => reject(new Error(`the model server ended with ${code}`)));
  });
  return { url: (JSON.parse(line.toString()) as { url: string }).url, child };
}

export function isAlive(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    return stat.slice(stat.lastIndexOf(")") + 2)[0] !== "Z";
  } catch {
    return false;
  }
}

export function linesOf(path: string): string[] {
  return existsSync(path) ? readFileSync(path, "utf8").split("\n").filter(Boolean) : [];
}

/** A port on loopback that nothing listens on. */
export async function closedPort(): Promise<number> {
  const { createServer } = await import("node:net");
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}
