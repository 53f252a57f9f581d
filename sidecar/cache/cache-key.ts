/** When two requests are the same request, and which answers may be given twice. Pure. */
import { createHash } from "node:crypto";
import { CACHEABLE_TASKS } from "../../core/contract/routes.js";
import type { RawHeaders, Submission } from "../../core/contract/tasks.js";
import type { TaskAnswer } from "../tasks/store.js";

/** - `use`: an earlier answer will do · `refresh`: only a new one will, which is kept · `off`: neither */
export type CacheUse = "use" | "refresh" | "off";

/** Whatever an answer may depend on beside method, path, query and body. Credentials too: nobody gets what was answered to another. */
const KEYED_HEADERS = [
  "content-type",
  "content-encoding",
  "accept",
  "accept-encoding",
  "accept-language",
  "authorization",
  "cookie",
] as const;

export function cacheUse({ task, method, headers }: Pick<Submission, "task" | "method" | "headers">): CacheUse {
  if (method !== "POST" || !CACHEABLE_TASKS.has(task)) return "off";
  const wishes = directives(headers);
  if (wishes.has("no-store")) return "off";
  return wishes.has("no-cache") || wishes.has("max-age=0") ? "refresh" : "use";
}

/**
 * @param version of the model that is asked
 * @returns a hash: nothing of the request can be read from it
 */
export function cacheKey(
  version: string,
  request: Pick<Submission, "model" | "tenant" | "method" | "path" | "headers">,
  bodySha256: string,
): string {
  const { model, tenant, method, path, headers } = request;
  const named = KEYED_HEADERS.map((name) => valuesOf(headers, name));
  const parts = JSON.stringify([version, model, tenant, method, path, bodySha256, named]);
  return createHash("sha256").update(parts).digest("hex");
}

/** Partial content, answers meant for one caller, and those that depend on a header the key leaves out are given once. */
export function isKeepable({ status, headers }: Pick<TaskAnswer, "status" | "headers">): boolean {
  if (status < 200 || status > 299 || status === 202 || status === 206) return false;
  if (valuesOf(headers, "set-cookie").length > 0) return false;
  const wishes = directives(headers);
  if (wishes.has("no-store") || wishes.has("private") || wishes.has("no-cache")) return false;
  const varies = valuesOf(headers, "vary").flatMap((value) => value.toLowerCase().split(","));
  return varies.every((name) => (KEYED_HEADERS as readonly string[]).includes(name.trim()));
}

/** An earlier answer's headers as they go out again. */
export function hitHeaders(headers: RawHeaders, ageMs: number): string[] {
  const kept: string[] = [];
  for (let index = 0; index + 1 < headers.length; index += 2) {
    if (headers[index]!.toLowerCase() !== "age") kept.push(headers[index]!, headers[index + 1]!);
  }
  return [...kept, "Sluice-Cache", "hit", "Age", String(Math.max(0, Math.floor(ageMs / 1_000)))];
}

function directives(headers: RawHeaders): Set<string> {
  const all = valuesOf(headers, "cache-control").flatMap((value) => value.toLowerCase().split(","));
  return new Set(all.map((each) => each.trim().replace(/\s*=\s*/, "=")));
}

function valuesOf(headers: RawHeaders, name: string): string[] {
  const values: string[] = [];
  for (let index = 0; index + 1 < headers.length; index += 2) {
    if (headers[index]!.toLowerCase() === name) values.push(headers[index + 1]!);
  }
  return values;
}
