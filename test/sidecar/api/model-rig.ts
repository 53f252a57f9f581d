/** The sidecar alone, as its own process, with the routes of models over real model servers. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ConfigInput } from "../../../config/schema.js";
import { createHttpClient, type HttpCall } from "../../../core/runtime/http.js";
import type { Teardown } from "../../helpers/gazetteer.js";
import { startSidecarProcess } from "../../helpers/sidecar.js";
import { command } from "../models/support.js";

/** What is deployed or started on demand is this model server. */
export const DEPLOYING: ConfigInput["models"] = {
  deployment: { driver: "process", process: { command: command() } },
};

export async function startModelApi(t: Teardown, config: ConfigInput = {}) {
  // A socket's path has room for 107 bytes; a test's own folder is often longer.
  const folder = mkdtempSync(join(tmpdir(), "sluice-models-"));
  const dataDir = join(folder, "data");
  const sidecar = await startSidecarProcess({ dataDir, config: { models: DEPLOYING, ...config } });
  const http = createHttpClient({ socketPath: join(dataDir, "sidecar.sock") });
  t.teardown(async () => {
    await http.close();
    sidecar.kill("SIGTERM");
    await sidecar.exited;
    rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  });
  if ((await sidecar.ready) === null) throw new Error(sidecar.stderr());
  const call = (method: string, path: string, more: Partial<HttpCall> = {}) =>
    http.call({ method: method as HttpCall["method"], origin: "http://sidecar", path, ...more });
  const ask = async (method: string, path: string, body?: unknown, contentType = "application/json") => {
    const isText = typeof body === "string";
    const answer = await call(method, path, {
      ...(contentType === "" ? {} : { headers: { "content-type": contentType } }),
      ...(body === undefined ? {} : { body: isText ? body : JSON.stringify(body) }),
    });
    const text = await answer.body.text();
    // biome-ignore lint/suspicious/noExplicitAny: a test reads what it expects
    const json: any = /^[{[]/.test(text) ? JSON.parse(text) : null;
    return { status: answer.status, headers: answer.headers, text, json };
  };
  return { call, ask, dataDir, configFile: join(folder, "sluice.yaml"), stderr: sidecar.stderr };
}
