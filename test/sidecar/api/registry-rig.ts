/** The registry's routes on a real Unix socket, over a real registry on real files. */
import { createHash, randomBytes } from "node:crypto";
import type { Test } from "tap";
import { registerRegistryRoutes } from "../../../sidecar/api/registry.js";
import type { VersionUse } from "../../../sidecar/registry/registry.js";
import { openRig, type RigOptions } from "../registry/local-rig.js";
import { startApp } from "./app-rig.js";

export interface ApiOptions extends RigOptions {
  readonly idleMs?: number;
}

export async function startRegistryApi(t: Test, options: ApiOptions = {}) {
  const rig = await openRig(t, options);
  const { registry, uploads } = rig;
  const uses: VersionUse[] = [];
  registry.followUses(() => uses);
  const routes = { registry, uploads, idleMs: () => options.idleMs ?? 20_000 };
  const { ask, call, socketPath } = await startApp(t, { more: [(app) => registerRegistryRoutes(app, routes)] });
  const put = (path: string, body: unknown) =>
    ask("PUT", path, { headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
  const post = (path: string, body: Buffer, headers: Record<string, string> = {}) =>
    ask("POST", path, { headers: { "content-length": String(body.length), ...headers }, body });
  const begin = (model: string, header: unknown, query = "") =>
    ask("POST", `/registry/models/${model}/uploads${query}`, {
      headers: { "content-type": "application/json" },
      body: JSON.stringify(header),
    });
  const patch = (location: string, offset: number, body: Buffer) =>
    ask("PATCH", location, { headers: { "upload-offset": String(offset) }, body });
  return { ...rig, uses, ask, call, socketPath, put, post, begin, patch };
}

export const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
export const base64 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("base64");
export const someBytes = (size: number) => randomBytes(size);

export async function bytesOf(body: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks);
}
