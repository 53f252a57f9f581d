/** What the registry's routes take: the schemas that bodies are held against, and OpenAPI is written from. */
import { z } from "zod";
import { SluiceError } from "../../core/contract/errors.js";
import { isoToNanos } from "../../core/contract/registry-api.js";
import type { VersionHeader } from "../registry/registry.js";
import type { GivenBody } from "./body.js";
import { refuse } from "./refused.js";

/** 256 KiB of user data, the worst of it escaped. */
export const MAX_JSON_BYTES = 2 * 2 ** 20;

const HALF_CHARACTER = /\p{Surrogate}/u;
const text = () => z.string().refine((value) => !HALF_CHARACTER.test(value), "half characters are not allowed");
const userData = z.record(text(), text()).describe("The caller's own names and values; 256 KiB in all");
const sha256 = z.string().regex(/^[0-9a-fA-F]{64}$/, "sha256 is 64 hexadecimal digits");
const size = z.int().min(0);

export const modelBody = z.object({ user_data: userData.optional() });

export const uploadBody = z.object({
  data_bytes: size.describe("Size of the version"),
  archived: z.boolean().optional().meta({ default: true, description: "False: in memory alone" }),
  sha256: sha256.optional().describe("The bytes must have it"),
  created_at: z.string().optional().describe("Default: when the upload is complete"),
  user_data: userData.optional(),
});

export const aliasBody = z.object({
  version: z.union([size, z.string()], "version is a number, 'latest' or another alias"),
});

export function uploadHeader(modelId: string, asked: z.output<typeof uploadBody>, body: GivenBody): VersionHeader {
  return {
    modelId,
    archived: asked.archived ?? true,
    dataBytes: asked.data_bytes,
    dataHash: asked.sha256 === undefined ? null : Buffer.from(asked.sha256, "hex").toString("base64"),
    creationTimestamp: asked.created_at === undefined ? null : isoToNanos(asked.created_at),
    userData: userDataOf(asked, body),
  };
}

/** @throws INVALID_PARAMETER for a name that a JavaScript object cannot hold: it would be lost in silence */
export function userDataOf(
  { user_data }: { user_data?: Record<string, string> | undefined },
  body: GivenBody,
): Record<string, string> {
  const given = body.kind === "json" ? (body.value as { user_data?: unknown }).user_data : null;
  if (typeof given === "object" && given !== null && Object.hasOwn(given, "__proto__")) {
    const msg = "Value error, this name cannot be used";
    throw refuse("'__proto__' cannot be a name in user_data", [
      { type: "value_error", loc: ["body", "user_data", "__proto__"], msg, input: null, ctx: { error: {} } },
    ]);
  }
  return user_data ?? {};
}

/** One `name=value` of a query. @throws INVALID_PARAMETER */
export function pairsOf(given: readonly string[]): Record<string, string> {
  const pairs = given.map((pair): [string, string] => {
    const at = pair.indexOf("=");
    if (at < 1 || HALF_CHARACTER.test(pair)) {
      throw new SluiceError("INVALID_PARAMETER", "user_data is not name=value", {
        hint: "Write ?user_data=name=value, once for each.",
      });
    }
    return [pair.slice(0, at), pair.slice(at + 1)];
  });
  if (pairs.some(([name]) => name === "__proto__")) {
    throw new SluiceError("INVALID_PARAMETER", "'__proto__' cannot be a name in user_data");
  }
  return Object.fromEntries(pairs);
}
