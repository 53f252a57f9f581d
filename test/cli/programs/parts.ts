/**
 * Small real children for the supervisor's tests: a sidecar that answers on its Unix socket and a proxy that answers HTTP.
 * STAND_IN (comma-separated): `hang-once=<file>` hangs at the first start, `die-at-start` ends before it is ready, `refuse` says why it
 * cannot start, `slow-stop` never ends by itself.
 */
import { existsSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { resolve } from "node:path";
import type { Config } from "../../../config/schema.js";
import { Counter, Registry } from "../../../core/runtime/metrics.js";

const part = process.argv[2];
const traits = new Map<string, string | undefined>();
for (const each of (process.env.STAND_IN ?? "").split(",")) {
  const [trait, value] = each.split("=");
  traits.set(trait!, value);
}
const is = (trait: string) => traits.has(`${part}-${trait}`);
const say = (message: object) => process.send?.(message);

process.on("SIGINT", () => undefined);
if (part === "sidecar") process.once("disconnect", () => process.exit(0));

process.once("message", ({ config }: { config: Config }) => {
  const hangFile = traits.get(`${part}-hang-once`);
  if (hangFile !== undefined && !existsSync(hangFile)) {
    writeFileSync(hangFile, "");
    setInterval(() => undefined, 1_000);
  } else if (is("die-at-start")) process.exit(7);
  else if (is("refuse")) {
    process.send?.({ type: "failed", code: "NO_LUCK", message: "the stars are wrong" }, undefined, {}, () =>
      process.exit(1),
    );
  } else if (part === "sidecar") runSidecar(config);
  else runProxy(config);
});
say({ type: "hello" });

function runSidecar(config: Config): void {
  const socketPath = resolve(config.data_dir, "sidecar.sock");
  rmSync(socketPath, { force: true });
  const server = createServer((request, response) => {
    if (request.url === "/internal/metrics") {
      response.end("# HELP stand_in_sidecar Sidecar\n# TYPE stand_in_sidecar gauge\nstand_in_sidecar 1\n");
    } else if (request.url === "/models") {
      response.end(JSON.stringify({ running: [], on_demand: [{ name: "gazetteer", is_running: false }] }));
    } else response.end("{}");
  });
  server.listen(socketPath, () => say({ type: "ready" }));
  process.on("SIGHUP", () => process.stdout.write(`${JSON.stringify({ event: "stand-in-reloaded" })}\n`));
  process.on("SIGTERM", () => {
    process.stdout.write(`${JSON.stringify({ event: "stand-in-stopping", part })}\n`);
    if (!is("slow-stop")) process.exit(0);
  });
}

function runProxy(config: Config): void {
  const registry = new Registry();
  const seen = new Counter({ name: "stand_in_requests_total", help: "Requests", registers: [registry] });
  const questions = new Map<number, (text: string) => void>();
  let nextId = 1;
  const server = createServer((request, response) => {
    seen.inc();
    if (request.url === "/slow") {
      response.write("begun ");
      setTimeout(() => response.end("done"), 600);
    } else if (request.url === "/metrics") {
      questions.set(nextId, (text) => response.end(text));
      say({ type: "metrics-all", id: nextId++ });
    } else response.end(JSON.stringify({ pid: process.pid }));
  });
  const port = Number(process.argv[process.argv.lastIndexOf("--port") + 1]);
  server.once("error", (caught: NodeJS.ErrnoException) => {
    process.send?.({ type: "failed", code: caught.code, message: caught.message }, undefined, {}, () =>
      process.exit(1),
    );
  });
  server.listen({ host: config.proxy.host, port }, () => {
    const address = server.address() as { address: string; port: number };
    say({ type: "ready", address: { host: address.address, port: address.port } });
    setTimeout(() => {
      process.stdout.write(`${JSON.stringify({ event: "stand-in-following" })}\n`);
      say({ type: "following" });
    }, 300);
  });
  process.on("message", async (message: { type: string; id: number; text: string }) => {
    if (message.type === "metrics-get") {
      say({ type: "metrics", id: message.id, metrics: await registry.getMetricsAsJSON() });
    } else if (message.type === "metrics-all") {
      questions.get(message.id)?.(message.text);
      questions.delete(message.id);
    }
  });
  process.on("SIGTERM", () => {
    process.stdout.write(`${JSON.stringify({ event: "stand-in-stopping", part })}\n`);
    if (!is("slow-stop")) server.close(() => process.exit(0));
  });
}
