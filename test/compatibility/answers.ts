/** What answers are compared with. */
import type { Test } from "tap";
import type { Answer } from "./client.js";

/** A refusal in words: this status, JSON, and a `detail` that says all of these. */
export function refused(t: Test, answer: Answer, status: number, ...words: readonly RegExp[]): void {
  t.equal(answer.status, status, answer.text.slice(0, 300));
  t.type(answer.json?.detail, "string", "detail is a text");
  for (const word of words) t.match(answer.json?.detail, word);
  t.equal(answer.json?.source, "sluice");
}

/** One refused value of a 422. */
export interface Item {
  readonly type: string;
  readonly loc: readonly (string | number)[];
  readonly input?: unknown;
  readonly ctx?: unknown;
}

const KEYS = new Set(["type", "loc", "msg", "input", "ctx"]);

/** A 422 with exactly these items; their sentences are for people and not compared. */
export function invalid(t: Test, answer: Answer, ...items: readonly Item[]): void {
  t.equal(answer.status, 422, answer.text.slice(0, 300));
  const detail: unknown = answer.json?.detail;
  if (!t.ok(Array.isArray(detail), "detail is a list")) return;
  const found = detail as Record<string, unknown>[];
  t.equal(found.length, items.length, "as many items");
  for (const [index, item] of items.entries()) {
    const each = found[index] ?? {};
    t.match(each, { type: item.type, msg: /\S/ });
    t.strictSame(each.loc, item.loc);
    if ("input" in item) t.strictSame(each.input, item.input);
    if ("ctx" in item) t.strictSame(each.ctx, item.ctx);
    t.notOk(
      Object.keys(each).find((key) => !KEYS.has(key)),
      "no other key",
    );
  }
}

/** The keys, in any order. */
export function hasKeys(t: Test, value: unknown, ...keys: readonly string[]): void {
  t.strictSame(Object.keys(value ?? {}).sort(), [...keys].sort());
}

export const ISO_TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00$/;
