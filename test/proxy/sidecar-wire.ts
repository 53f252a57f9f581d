/** A stand-in for the sidecar's end of the Unix socket, and a proxy that follows it. */
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import http from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Test } from "tap";
import type { PresenceReport, RouteSnapshot } from "../../core/contract/internal-api.js";
import type { ModelEntry } from "../../core/contract/models.js";
import { DEFAULT_ROUTES } from "../../core/contract/routes.js";
import { bodyOf, poll, startProxy } from "./rig.js";

/** The sidecar's side of the wire, as `core/contract/internal-api.ts` has it. */
export class SidecarWire {
  readonly streams = new Set<http.ServerResponse>();
  readonly seen: { method: string; url: string; headers: http.IncomingHttpHeaders; body: string }[] = [];
  readonly reports: PresenceReport[] = [];
  answerReport: (res: http.ServerResponse) => void = (res) => res.writeHead(204).end();
  version = 1;
  models: ModelEntry[] = [];
  aliases: RouteSnapshot["aliases"] = [];
  answer: (req: http.IncomingMessage, res: http.ServerResponse) => void = (_req, res) => res.end("{}");
  #server: http.Server | undefined;

  constructor(
    t: Test,
    readonly path: string,
  ) {
    t.teardown(() => this.stop());
  }

  async start(): Promise<void> {
    rmSync(this.path, { force: true });
    this.#server = http.createServer((req, res) => void this.#handle(req, res));
    this.#server.listen(this.path);
    await once(this.#server, "listening");
  }

  stop(): void {
    this.#server?.close();
    this.#server?.closeAllConnections();
  }

  publish(models: ModelEntry[], aliases: RouteSnapshot["aliases"] = []): void {
    this.version += 1;
    this.models = models;
    this.aliases = aliases;
    for (const stream of this.streams) this.#write(stream);
  }

  async #handle(req: http.IncomingMessage, res: http.ServerResponse): Promise<void> {
    if (req.url === "/internal/routes") {
      this.streams.add(res);
      res.on("close", () => this.streams.delete(res));
      res.write("{}\n");
      this.#write(res);
      return;
    }
    const body = (await bodyOf(req)).toString();
    if (req.url === "/internal/presence") {
      this.reports.push(JSON.parse(body) as PresenceReport);
      this.answerReport(res);
      return;
    }
    this.seen.push({ method: req.method ?? "", url: req.url ?? "", headers: req.headers, body });
    this.answer(req, res);
  }

  #write(stream: http.ServerResponse): void {
    const { version, models, aliases } = this;
    const line = `${JSON.stringify({ epoch: "wire", version, models, aliases, routes: DEFAULT_ROUTES })}\n`;
    // In two pieces, as a stream may come.
    stream.write(line.slice(0, 20));
    setImmediate(() => stream.write(line.slice(20)));
  }
}

export function entry(name: string, port: number | null, more: Partial<ModelEntry> = {}): ModelEntry {
  return {
    name,
    source: "static",
    state: port === null ? "absent" : "ready",
    url: port === null ? null : `http://127.0.0.1:${port}`,
    address: null,
    onDemand: false,
    concurrency: 1,
    modelType: null,
    modelUri: null,
    problem: null,
    ...more,
  };
}

export async function startBoth(t: Test, routeSilenceMs?: number) {
  // Not t.testdir(): a Unix socket's path is cut at 107 bytes.
  const folder = mkdtempSync(join(tmpdir(), "sluice-"));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const wire = new SidecarWire(t, join(folder, "s.sock"));
  await wire.start();
  const rig = await startProxy(t, {
    socketPath: wire.path,
    ...(routeSilenceMs === undefined ? {} : { routeSilenceMs }),
  });
  await poll(
    () =>
      rig.proxy
        .metrics()
        .some(
          (each) => JSON.stringify(each).includes('"sluice_sidecar_up"') && JSON.stringify(each).includes('"value":1'),
        ),
    "the route table",
  );
  return { wire, ...rig };
}
