/** `results` and `callbacks`: what becomes of tasks that are final, and who is told of them. */
import { z } from "zod";
import { duration, LONGEST_AGE_MS, SECRET, size } from "./values.js";

export const results = z.strictObject({
  retention: duration(1_000, LONGEST_AGE_MS)
    .nullable()
    .prefault("30d")
    .describe("A final task and its result are removed after this long; null: never"),
  max_bytes: size()
    .nullable()
    .default(null)
    .describe(
      "Above this many bytes of results the oldest final tasks are removed, none younger than 60s; null: no limit",
    ),
  cache: z
    .strictObject({
      enabled: z
        .boolean()
        .default(false)
        .describe("Answer a repeated inference request from the stored result of the first, marked Sluice-Cache: hit"),
      max_age: duration(1_000, LONGEST_AGE_MS).prefault("1h").describe("How old such a result may be"),
    })
    .prefault({})
    .describe("The same request to the same model version is answered once"),
});

/** Longest URL that is told of a task's end, in characters. */
export const MAX_CALLBACK_LENGTH = 2_000;

/** An http:// or https:// URL to which a POST may go: no credentials, no fragment. */
export function isCallbackUrl(value: string): boolean {
  if (value.length > MAX_CALLBACK_LENGTH || !/^https?:\/\/[\x21-\x7e]+$/.test(value) || value.includes("#"))
    return false;
  if (!URL.canParse(value)) return false;
  const { username, password } = new URL(value);
  return username === "" && password === "";
}

/** Bytes of the key after `whsec_`. */
const SECRET_BYTES = { least: 24, most: 64 };

/** The key that signs callbacks, out of the text of the setting. */
export function callbackKey(secret: string): Buffer {
  return Buffer.from(secret.replace(/^whsec_/, ""), "base64");
}

function isCallbackSecret(value: string): boolean {
  if (!/^whsec_[A-Za-z0-9+/]+={0,2}$/.test(value)) return false;
  const bytes = callbackKey(value).byteLength;
  return bytes >= SECRET_BYTES.least && bytes <= SECRET_BYTES.most;
}

function isOrigin(value: string): boolean {
  return isCallbackUrl(value) && new URL(value).origin === value;
}

export const callbacks = z.strictObject({
  url: z
    .string()
    .refine(isCallbackUrl, { error: "must be an http:// or https:// URL without credentials and fragment" })
    .meta(SECRET)
    .nullable()
    .default(null)
    .describe("Told of the end of every task that names no Sluice-Callback of its own; see docs/webhooks.md"),
  secret: z
    .string()
    .refine(isCallbackSecret, { error: "must be whsec_ followed by 24 to 64 bytes in base64" })
    .meta(SECRET)
    .nullable()
    .default(null)
    .describe("Signs what is sent (Standard Webhooks); null: nothing is signed"),
  allow: z
    .array(z.string().refine(isOrigin, { error: "must be an origin such as https://hooks.example.org" }))
    .nullable()
    .default(null)
    .describe("Origins a Sluice-Callback header may name; null: any while proxy.host is loopback, else none"),
});
