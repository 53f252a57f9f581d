/** The shapes of the registry's answers, for OpenAPI; the compiler holds them against the contract. */
import { z } from "zod";
import type {
  AliasHistory,
  AliasList,
  AliasObject,
  ModelObject,
  ModelPage,
  UploadObject,
  VersionObject,
  VersionPage,
} from "../../core/contract/registry-api.js";

const time = z.string().meta({ format: "date-time" });
const userData = z.record(z.string(), z.string()).describe("The caller's own names and values");

export const registryVersion = z.object({
  model_id: z.string(),
  version_number: z.int(),
  created_at: time.describe("With nanoseconds"),
  archived: z.boolean().describe("False: in memory alone"),
  data_hash: z.string().describe("SHA-256 in base64, as gRPC has it"),
  sha256: z.string().describe("The same in hexadecimal, as the ETag has it"),
  data_bytes: z.int(),
  user_data: userData,
  aliases: z.array(z.string()).describe("That mean it now"),
}) satisfies z.ZodType<VersionObject>;

export const registryModel = z.object({
  model_id: z.string(),
  user_data: userData,
  latest_version: registryVersion.nullable(),
  aliases: z.record(z.string(), z.int()).describe("Version numbers by alias"),
}) satisfies z.ZodType<ModelObject>;

export const registryModels = z.object({
  models: z.array(registryModel),
  next: z.string().nullable().describe("For `after`; null at the end"),
}) satisfies z.ZodType<ModelPage>;

export const registryVersions = z.object({
  versions: z.array(registryVersion),
  next: z.int().nullable().describe("For `from`; null at the end"),
}) satisfies z.ZodType<VersionPage>;

export const registryAlias = z.object({
  model_id: z.string(),
  alias: z.string(),
  version_number: z.int().nullable().describe("Null: it was removed then; in a history alone"),
  set_at: time,
}) satisfies z.ZodType<AliasObject>;

export const registryAliases = z.object({ aliases: z.array(registryAlias) }) satisfies z.ZodType<AliasList>;
export const registryHistory = z.object({ history: z.array(registryAlias) }) satisfies z.ZodType<AliasHistory>;

export const registryUpload = z.object({
  upload_id: z.string(),
  model_id: z.string(),
  data_bytes: z.int(),
  offset: z.int().describe("Bytes that are there for good; the upload goes on from here"),
  expires_at: time,
}) satisfies z.ZodType<UploadObject>;
