/** The kinds of value that settings are made of. Inside, durations are milliseconds and sizes are bytes, whatever unit was written. */
import { z } from "zod";
import { MODEL_NAME } from "../../core/contract/models.js";
import { isRegistryUri, readRegistryUri } from "../../core/contract/registry.js";

const DURATION = /^(\d+(?:\.\d+)?)\s?(ms|s|m|h|d)?$/;
const DURATION_UNITS_MS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const SIZE = /^(\d+(?:\.\d+)?)\s?(B|kB|MB|GB|TB|KiB|MiB|GiB|TiB)?$/;
const SIZE_UNITS_BYTES = {
  B: 1,
  kB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
} as const;

const DAY_MS = 86_400_000;
/** Node's timers overflow above 2^31-1 ms and then fire at once: what is waited for by one timer stays below. */
const LONGEST_TIMER_MS = 24 * DAY_MS;
/** For ages and deadlines, which are compared and never given to one timer. */
export const LONGEST_AGE_MS = 3_650 * DAY_MS;

const DURATION_WORDS = "must be seconds or a duration such as 90s, 5m, 250ms";
const SIZE_WORDS = "must be a number of bytes or a size such as 512MiB";

/** A duration: a number of seconds, or text such as `90s`, `5m`, `250ms`; whole milliseconds inside. */
export function duration(minMs = 0, maxMs: number = LONGEST_TIMER_MS) {
  return z
    .union([z.number().nonnegative(), z.string().regex(DURATION, DURATION_WORDS)], { error: DURATION_WORDS })
    .meta({ unit: "duration" })
    .transform((value) => {
      if (typeof value === "number") return Math.round(value * 1_000);
      const [, amount, unit] = DURATION.exec(value)!;
      return Math.round(Number(amount) * DURATION_UNITS_MS[(unit ?? "s") as keyof typeof DURATION_UNITS_MS]);
    })
    .refine((ms) => ms >= minMs, { error: `must be at least ${formatDuration(minMs)}` })
    .refine((ms) => ms <= maxMs, { error: `must be at most ${formatDuration(maxMs)}` });
}

/** Milliseconds in the largest unit that fits: `90s`, `5m`. */
export function formatDuration(ms: number): string {
  const units = Object.entries(DURATION_UNITS_MS).reverse();
  const [unit, size] = units.find(([, size]) => ms > 0 && ms % size === 0) ?? ["ms", 1];
  return `${ms / size}${unit}`;
}

/** A size: a number of bytes, or text such as `512MiB`; bytes inside. */
export function size(minBytes = 0) {
  return z
    .union([z.number().int().nonnegative(), z.string().regex(SIZE, SIZE_WORDS)], { error: SIZE_WORDS })
    .meta({ unit: "size" })
    .transform((value) => {
      if (typeof value === "number") return value;
      const [, amount, unit] = SIZE.exec(value)!;
      return Math.floor(Number(amount) * SIZE_UNITS_BYTES[(unit ?? "B") as keyof typeof SIZE_UNITS_BYTES]);
    })
    .refine((bytes) => bytes >= minBytes, { error: `must be at least ${minBytes} bytes` })
    .refine((bytes) => bytes <= Number.MAX_SAFE_INTEGER, { error: "is too large" });
}

export const text = () => z.string();
/** Text, or nothing. */
export const optionalText = () => z.string().min(1).nullable().default(null);
export const port = () => z.number().int().min(0).max(65_535);
export const count = (min = 1) => z.number().int().min(min);
export const priority = () => z.number().int().min(0).max(9);

/** Marks a value that is masked wherever the configuration is shown. */
export const SECRET = { secret: true } as const;
export const secret = () => z.string().meta(SECRET);

/** How often a model server may be called. */
export const rateLimit = () =>
  z
    .strictObject({
      amount: count()
        .max(10_000)
        .describe("Queued and gated calls in any span of this length; trainings are not counted"),
      per: duration(100, DAY_MS).prefault("60s").describe("That span: a moving window, as CMS counts"),
    })
    .nullable()
    .default(null);

export const modelName = () =>
  z
    .string()
    .regex(MODEL_NAME, "must begin with a letter or digit and hold only letters, digits, '_', '.', '-' (at most 255)");

/** A model's URI of any scheme; one of the registry's must name a version. */
export const modelUri = () =>
  z
    .string()
    .min(1)
    .superRefine((value, context) => {
      try {
        if (isRegistryUri(value)) readRegistryUri(value);
      } catch {
        const message = "must be sluice://<model>/<number>, sluice://<model>/latest or sluice://<model>/<alias>";
        context.addIssue({ code: "custom", message });
      }
    })
    .nullable()
    .default(null);

/** A model server's base URL, without the slash at its end. */
export const url = () =>
  z
    .string()
    .regex(
      /^https?:\/\/[^/?#\s@]+(\/[^?#\s]*)?$/,
      "must be an http:// or https:// URL without credentials, query or fragment",
    )
    .refine((value) => URL.canParse(value), { error: "must be a valid URL" })
    .transform((value) => value.replace(/\/+$/, ""));

/** Filled in when a model server is started; `sluice_home` when the configuration is loaded. */
export const PLACEHOLDERS = [
  "name",
  "model_uri",
  "model_path",
  "model_type",
  "port",
  "registry_url",
  "sluice_home",
] as const;

/** Those of a command that runs in a container. */
const CONTAINER_PLACEHOLDERS = ["name", "model_uri", "model_path", "model_type", "port"] as const;

/** Text in which {placeholders} stand; unknown ones are refused. */
export const template = (placeholders: readonly string[] = PLACEHOLDERS) =>
  z.string().superRefine((value, context) => {
    for (const [, name] of value.matchAll(/\{([A-Za-z_]+)\}/g)) {
      if (placeholders.includes(name!)) continue;
      const known = placeholders.map((each) => `{${each}}`).join(" ");
      context.addIssue({ code: "custom", message: `{${name}} is no placeholder; there are ${known}` });
    }
  });

/** Program and arguments. */
export const command = () =>
  z
    .array(template().min(1))
    .min(1)
    .describe(
      "Program and arguments, never a shell line; {name} {model_uri} {model_path} {model_type} {port} {registry_url} {sluice_home} are filled in",
    );

/** Arguments given to a container's image. */
export const containerCommand = () =>
  z
    .array(template(CONTAINER_PLACEHOLDERS))
    .min(1)
    .describe(
      "What a model server's container runs, argument by argument, never a shell line; {name} {model_uri} {model_path} {model_type} {port} are filled in",
    );

/** Graphics processors for a container. */
export const gpus = () => z.union([z.literal("all"), count(0)], { error: 'must be "all" or a number' });

/** Variables for a process; they may hold keys and are masked. */
export const variables = () =>
  z
    .record(z.string().min(1), template().meta(SECRET))
    .default({})
    .describe("Variables for the process, with the same placeholders");
