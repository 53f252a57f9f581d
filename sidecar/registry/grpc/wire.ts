/** The messages of `model-registry.proto`: the service as gRPC takes it, and replies as bytes, encoded once however many get them. */
import { fileURLToPath } from "node:url";
import type { MethodDefinition, ServiceDefinition } from "@grpc/grpc-js";
import { type Deserialize, loadSync, type PackageDefinition, type Serialize } from "@grpc/proto-loader";
import type { RegistryModel, VersionInfo } from "../../../core/contract/registry.js";
import { isPiece } from "../archive/pieces.js";

export const SERVICE_NAME = "cogmentAPI.ModelRegistrySP";

export interface WireVersionInfo {
  readonly model_id: string;
  readonly version_number: number;
  /** Decimal: 64 bits do not fit a number. */
  readonly creation_timestamp: string;
  readonly archived: boolean;
  readonly data_hash: string;
  readonly data_size: string;
  readonly user_data: Readonly<Record<string, string>>;
}

export interface WireModelInfo {
  readonly model_id: string;
  readonly user_data: Readonly<Record<string, string>>;
}

export interface Requests {
  readonly CreateOrUpdateModel: { readonly model_info: WireModelInfo | null };
  readonly DeleteModel: { readonly model_id: string };
  readonly RetrieveModels: {
    readonly model_ids: readonly string[];
    readonly models_count: number;
    readonly model_handle: string;
  };
  readonly CreateVersion: {
    readonly msg?: "header" | "body";
    readonly header?: { readonly version_info: WireVersionInfo | null } | null;
    readonly body?: { readonly data_chunk: Buffer } | null;
  };
  readonly RetrieveVersionInfos: {
    readonly model_id: string;
    readonly version_numbers: readonly number[];
    readonly versions_count: number;
    readonly version_handle: string;
  };
  readonly RetrieveVersionData: { readonly model_id: string; readonly version_number: number };
  readonly VersionUpdate: { readonly model_id: string };
  readonly Version: object;
  readonly Status: { readonly names: readonly string[] };
}

export type Method = keyof Requests;

type WireMethod = MethodDefinition<unknown, unknown> & { readonly requestDeserialize: Deserialize<unknown> };

const definition: PackageDefinition = loadSync(fileURLToPath(new URL("./model-registry.proto", import.meta.url)), {
  keepCase: true,
  longs: String,
  defaults: true,
  oneofs: true,
});

const described = definition[SERVICE_NAME] as unknown as Record<Method, WireMethod>;

/** For reflection. */
export const packageDefinition = definition;

/** Takes replies as bytes. */
export const service: ServiceDefinition = Object.fromEntries(
  Object.entries(described).map(([name, method]) => [
    name,
    { ...method, responseSerialize: (bytes: unknown) => bytes as Buffer },
  ]),
) as ServiceDefinition;

export function encodeReply(method: Method, reply: object): Buffer {
  return (described[method].responseSerialize as Serialize<object>)(reply);
}

/** Field 1, bytes. */
const DATA_CHUNK_TAG = 0x0a;

/** A reply of RetrieveVersionData: a piece of the archive is encoded where it lies, by what is written into the room in front of it. */
export function encodePiece(chunk: Uint8Array): Buffer {
  if (!isPiece(chunk) || chunk.byteLength === 0) return encodeReply("RetrieveVersionData", { data_chunk: chunk });
  const head = [DATA_CHUNK_TAG];
  for (let left = chunk.byteLength; ; left >>>= 7) {
    head.push(left < 0x80 ? left : (left & 0x7f) | 0x80);
    if (left < 0x80) break;
  }
  const start = chunk.byteOffset - head.length;
  const reply = Buffer.from(chunk.buffer as ArrayBuffer, start, head.length + chunk.byteLength);
  reply.set(head);
  return reply;
}

export function wireModel({ modelId, userData }: RegistryModel): WireModelInfo {
  return { model_id: modelId, user_data: userData };
}

export function wireVersion(info: VersionInfo): WireVersionInfo {
  return {
    model_id: info.modelId,
    version_number: info.versionNumber,
    creation_timestamp: info.creationTimestamp.toString(),
    archived: info.archived,
    data_hash: info.dataHash,
    data_size: info.dataBytes.toString(),
    user_data: info.userData,
  };
}
