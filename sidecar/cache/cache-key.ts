/** When two requests are the same request, and which answers may be given twice. Pure. */
import { createHash } from "node:crypto";
import { fieldsOf, fieldsWhere, valuesOf } from "../../core/contract/raw-headers.js";
import { CACHEABLE_TASKS } from "../../core/contract/routes.js";
import type { RawHeaders, Submission } from "../../core/contract/tasks.js";
import type { TaskAnswer } from "../tasks/store.js";

/** - `use`: an earlier answer will do · `refresh`: only a new one will, which is kept · `off`: neither */
export type CacheUse = "use" | "refresh" | "off";

/**
 * What says who asked, from where or how the bytes travelled, but not what is wanted. Every other header is part of the key:
 * credentials, so that nobody gets what was answered to another, and whatever only the model server knows the meaning of.
 */
const IGNORED: ReadonlySet<string> = new Set([
  "host",
  "content-length",
  "user-agent",
  "cache-control",
  "pragma",
  "date",
  "referer",
  "traceparent",
  "tracestate",
  "baggage",
  "x-request-id",
  "x-forwarded-for",
  "x-forwarded-proto",
  "x-forwarded-host",
  "x-forwarded-prefix",
]);

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
  const parts = JSON.stringify([version, model, tenant, method, path, bodySha256, keyedHeaders(headers)]);
  return createHash("sha256").update(parts).digest("hex");
}

/** Partial content, answers meant for one caller, and those that depend on a header the key leaves out are given once. */
export function isKeepable({ status, headers }: Pick<TaskAnswer, "status" | "headers">): boolean {
  if (status < 200 || status > 299 || status === 202 || status === 206) return false;
  if (valuesOf(headers, "set-cookie").length > 0) return false;
  const wishes = directives(headers);
  if (wishes.has("no-store") || wishes.has("private") || wishes.has("no-cache")) return false;
  const varies = valuesOf(headers, "vary").flatMap((value) => value.toLowerCase().split(","));
  return varies.every((name) => name.trim() !== "*" && !IGNORED.has(name.trim()));
}

/** An earlier answer's headers as they go out again. */
export function hitHeaders(headers: RawHeaders, ageMs: number): string[] {
  const kept = fieldsWhere(headers, (name) => name !== "age");
  return [...kept, "Sluice-Cache", "hit", "Age", String(Math.max(0, Math.floor(ageMs / 1_000)))];
}

/** Order and case of names say nothing; the order of one name's values does. */
function keyedHeaders(headers: RawHeaders): [string, string][] {
  const pairs = [...fieldsOf(headers)].map(([name, value]): [string, string] => [name.toLowerCase(), value]);
  const keyed = pairs.filter(([name]) => !IGNORED.has(name));
  return keyed.sort(([one], [other]) => (one < other ? -1 : one > other ? 1 : 0));
}

function directives(headers: RawHeaders): Set<string> {
  const all = valuesOf(headers, "cache-control").flatMap((value) => value.toLowerCase().split(","));
  return new Set(all.map((each) => each.trim().replace(/\s*=\s*/, "=")));
}
