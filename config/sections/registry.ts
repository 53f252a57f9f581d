/** `registry`: the model registry that speaks Cogment's gRPC. */
import { z } from "zod";
import { count, optionalText, port, secret, size, text } from "./values.js";

export const REGISTRY_LOG_LEVELS = ["off", "error", "warning", "info", "debug", "trace"] as const;
export type RegistryLogLevel = (typeof REGISTRY_LOG_LEVELS)[number];

const LEVEL_WORDS = "must be off, error, warning, info, debug, trace or their number, 0 to 5";
const ENDPOINT_WORDS = "must be grpc://<host>:<port>";
const ENDPOINT = /^grpc:\/\/(?:\[[0-9A-Fa-f:.]+\]|[^\s/?#@:[\]]+):(?<port>\d{1,5})$/;
const HOST_WORDS = "must be a host name or an address, without a scheme or port";
const HOST = /^(?:[^\s/?#@:[\]]+|[0-9A-Fa-f:.]+)$/;

/** A chunk is in memory while it is sent, once per download. */
const LARGEST_CHUNK_BYTES = 64 * 2 ** 20;

function level() {
  return z
    .union([z.enum(REGISTRY_LOG_LEVELS), z.number().int().min(0).max(5), z.string().regex(/^[0-5]$/, LEVEL_WORDS)], {
      error: LEVEL_WORDS,
    })
    .transform((value): RegistryLogLevel => REGISTRY_LOG_LEVELS[Number(value)] ?? (value as RegistryLogLevel));
}

export const registry = z.strictObject({
  host: optionalText().describe("Address to listen on; null: loopback, or all interfaces with a directory_endpoint"),
  port: port().default(9002).describe("gRPC port; 0 takes a free one"),
  grpc_reflection: z.boolean().default(false).describe("Offer gRPC reflection"),
  archive_dir: optionalText().describe("Folder of the archived versions, made when missing; null: archive in data_dir"),
  cache_max_items: count().max(4_294_967_295).default(100).describe("Transient versions kept, over all models"),
  cache_max_bytes: size(1).prefault("1GiB").describe("Bytes of transient versions kept in memory"),
  sent_version_chunk_size: size(1)
    .refine((bytes) => bytes <= LARGEST_CHUNK_BYTES, { error: "must be at most 64MiB" })
    .prefault("2MiB")
    .describe("Bytes per chunk sent; default clients refuse more than about 4 MiB"),
  max_version_size: size(1).nullable().default(null).describe("Largest version accepted; null: any"),
  log_level: level()
    .nullable()
    .default(null)
    .describe("off, error, warning, info, debug, trace or their number, 0 to 5; null: log.level"),
  log_file: optionalText().describe("Log to <name>_<YYYY-MM-DD><ext>, a file per day; null: standard output"),
  log_format: z
    .enum(["json", "text"])
    .nullable()
    .default(null)
    .describe("json or text; null: log.format, and json in a log_file"),
  directory_endpoint: z
    .string()
    .regex(ENDPOINT, ENDPOINT_WORDS)
    .refine(hasPort, { error: `${ENDPOINT_WORDS}, the port 1 to 65535` })
    .nullable()
    .default(null)
    .describe("Cogment directory to register with, grpc://<host>:<port>; null: none"),
  directory_authentication_token: secret()
    .regex(/^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/, "must be printable ASCII, as it goes into a header")
    .nullable()
    .default(null)
    .describe("Token for the directory"),
  directory_registration_host: z
    .string()
    .regex(HOST, HOST_WORDS)
    .nullable()
    .default(null)
    .describe("Host name or address to register; null: this machine's own IPv4 address"),
  directory_registration_properties: text()
    .superRefine((value, context) => {
      const { problem } = readProperties(value);
      if (problem !== null) context.addIssue({ code: "custom", message: problem });
    })
    .transform((value) => readProperties(value).properties)
    .prefault("")
    .describe("Properties to register: name=value,name,…; a value is optional, and one with a comma stands in quotes"),
});

/** What is no endpoint at all has been told already. */
function hasPort(endpoint: string): boolean {
  const port = ENDPOINT.exec(endpoint)?.groups?.port;
  return port === undefined || (Number(port) >= 1 && Number(port) <= 65_535);
}

const QUOTED = /^\s*"((?:[^"]|"")*)"\s*(?:,|$)/;
const PLAIN = /^([^,]*)(?:,|$)/;

/**
 * `Sim=20,hpp,"tags=a,b"`: split at commas, then at the first `=`; blanks around names and values do not count, a name without a value
 * has the empty one, a later one of the same name wins.
 */
export function readProperties(list: string): { properties: Readonly<Record<string, string>>; problem: string | null } {
  const properties: [string, string][] = [];
  for (let rest = list; rest.trim() !== ""; ) {
    const isQuoted = rest.trimStart().startsWith('"');
    const match = (isQuoted ? QUOTED : PLAIN).exec(rest);
    if (match === null) return { properties: {}, problem: "has a quoted property that does not end" };
    rest = rest.slice(match[0].length);
    const item = isQuoted ? match[1]!.replaceAll('""', '"') : match[1]!;
    if (item.trim() === "") continue;
    const [name, value] = splitOnce(item);
    if (name === "") return { properties: {}, problem: "has a property without a name; write name=value,name,…" };
    properties.push([name, value]);
  }
  return { properties: Object.fromEntries(properties), problem: null };
}

function splitOnce(item: string): [name: string, value: string] {
  const at = item.indexOf("=");
  return at < 0 ? [item.trim(), ""] : [item.slice(0, at).trim(), item.slice(at + 1).trim()];
}
