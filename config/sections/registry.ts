/** `registry`: the model registry that speaks Cogment's gRPC. */
import { z } from "zod";
import { count, optionalText, port, secret, size, text } from "./values.js";

const LEVEL = /^(off|error|warning|info|debug|trace|\d{1,2})$/;
const LEVEL_WORDS = "must be off, error, warning, info, debug, trace or a number";

/** gRPC clients take messages of up to 4 MiB unless told otherwise; a chunk has a few bytes around it. */
export const registry = z.strictObject({
  host: optionalText().describe("Address to listen on; null: loopback, or all interfaces with a directory_endpoint"),
  port: port().default(9002).describe("gRPC port; 0 takes a free one"),
  grpc_reflection: z.boolean().default(false).describe("Offer gRPC reflection"),
  archive_dir: optionalText().describe("Folder of the archived versions; null: archive in data_dir"),
  cache_max_items: count().max(4_294_967_295).default(100).describe("Versions kept in memory"),
  cache_max_bytes: size(1).prefault("1GiB").describe("Bytes of versions kept in memory"),
  sent_version_chunk_size: size(1)
    .prefault("2MiB")
    .describe("Bytes per chunk sent; default clients refuse more than about 4 MiB"),
  max_version_size: size(1).nullable().default(null).describe("Largest version accepted; null: any"),
  log_level: z
    .union([z.string().regex(LEVEL, LEVEL_WORDS), z.number().int().min(0).max(99)], {
      error: LEVEL_WORDS,
    })
    .transform(String)
    .nullable()
    .default(null)
    .describe("off, error, warning, info, debug, trace or a number; null: log.level"),
  log_file: optionalText().describe("Log to <name>_<YYYY-MM-DD><ext>, a file per day; null: standard output"),
  directory_endpoint: z
    .string()
    .regex(/^grpc:\/\/[^/?#\s@]+$/, "must be grpc://<host>:<port>")
    .nullable()
    .default(null)
    .describe("Cogment directory to register with, grpc://<host>:<port>; null: none"),
  directory_authentication_token: secret().nullable().default(null).describe("Token for the directory"),
  directory_registration_host: optionalText().describe("Host name to register; null: this machine's address"),
  directory_registration_properties: text().default("").describe("Properties to register: name=value,name,…"),
});
