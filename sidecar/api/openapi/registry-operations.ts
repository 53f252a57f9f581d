/** The routes of the model registry, as OpenAPI describes them. */
import { z } from "zod";
import { MAX_PAGE } from "../../../core/contract/registry-api.js";
import type { Operation } from "./operation.js";

const tag = "registry";
const limit = z.int().min(1).max(MAX_PAGE).meta({ default: 100, description: "At most this many" });
const force = z.boolean().meta({ default: false, description: "Also what something is deployed from" });
const create = z.boolean().meta({ default: false, description: "Make the model if it is not there" });
const uploadLength = z.int().min(0).meta({ description: "Size of the version; needed where the body is chunked" });
const uploadOffset = z.int().min(0).meta({ description: "Bytes that are there already" });
const BYTES = ["application/octet-stream"];

const MODELS: readonly Operation[] = [
  {
    method: "get",
    path: "/registry/models",
    tag,
    summary: "The models in the registry, in the order of their ids",
    query: { limit, after: z.string().meta({ description: "Those beyond this id" }) },
    answers: { 200: { description: "A page", json: "RegistryModels" } },
    refusals: [422],
  },
  {
    method: "get",
    path: "/registry/models/{model}",
    tag,
    summary: "One model with its newest version and its aliases",
    answers: { 200: { description: "The model", json: "RegistryModel" } },
    refusals: [400, 404],
  },
  {
    method: "put",
    path: "/registry/models/{model}",
    tag,
    summary: "Make a model, or replace all its user data",
    body: { json: "RegistryModelBody", required: false },
    answers: {
      200: { description: "Its user data are replaced", json: "RegistryModel" },
      201: { description: "It is made", json: "RegistryModel" },
    },
    refusals: [400, 413, 422, 503, 507],
  },
  {
    method: "delete",
    path: "/registry/models/{model}",
    tag,
    summary: "Delete a model with all its versions; one of the same name starts at 1 again",
    query: { force },
    answers: { 204: { description: "It is gone" } },
    refusals: [400, 404, 409, 422, 503],
  },
];

const version = (method: "get" | "head"): Operation => ({
  method,
  path: "/registry/models/{model}/versions/{version}/data",
  tag,
  summary: method === "get" ? "A version's bytes" : "The same without a body",
  description: "The ETag is the SHA-256; the last bytes come only when all that was read matches it.",
  headers: {
    ...(method === "get"
      ? { Range: z.string().meta({ description: "One part: bytes=0-99, bytes=100-, bytes=-50" }) }
      : {}),
    ...(method === "get" ? { "If-Range": z.string().meta({ description: "The part only of this ETag" }) } : {}),
    "If-None-Match": z.string().meta({ description: "304 for this ETag" }),
  },
  answers:
    method === "head"
      ? { 200: { description: "As GET" }, 304: { description: "As GET" } }
      : {
          200: { description: "All of it", media: BYTES },
          206: { description: "The part asked for", media: BYTES },
          304: { description: "The caller has it" },
        },
  refusals: method === "head" ? [400, 404] : [400, 404, 416, 500],
});

const VERSIONS: readonly Operation[] = [
  {
    method: "get",
    path: "/registry/models/{model}/versions",
    tag,
    summary: "A model's versions, by number",
    query: { limit, from: z.int().min(1).meta({ default: 1, description: "From this number on" }) },
    answers: { 200: { description: "A page", json: "RegistryVersions" } },
    refusals: [400, 404, 422],
  },
  {
    method: "post",
    path: "/registry/models/{model}/versions",
    tag,
    summary: "A new version in one request: the body is its bytes",
    query: {
      create,
      archived: z.boolean().meta({ default: true, description: "False: in memory alone" }),
      created_at: z.string().meta({ description: "Default: when the upload is complete" }),
      user_data: z.array(z.string()).meta({ description: "name=value, repeated" }),
    },
    headers: {
      "Upload-Length": uploadLength,
      "Repr-Digest": z.string().meta({ description: "sha-256=:<base64>: the bytes must have it" }),
    },
    body: { media: BYTES, required: true },
    answers: { 201: { description: "The version, at `Location`", json: "RegistryVersion" } },
    refusals: [400, 404, 408, 411, 413, 422, 503, 507],
  },
  {
    method: "get",
    path: "/registry/models/{model}/versions/{version}",
    tag,
    summary: "One version, by its number, `latest` or an alias",
    answers: { 200: { description: "The version", json: "RegistryVersion" } },
    refusals: [400, 404],
  },
  {
    method: "delete",
    path: "/registry/models/{model}/versions/{version}",
    tag,
    summary: "Delete a version; its number is never used again",
    query: { force },
    answers: { 204: { description: "It is gone" } },
    refusals: [400, 404, 409, 422, 503],
  },
  version("get"),
  version("head"),
];

const state = { description: "How far it is, in `Upload-Offset` too", json: "RegistryUpload" } as const;

const UPLOADS: readonly Operation[] = [
  {
    method: "post",
    path: "/registry/models/{model}/uploads",
    tag,
    summary: "Begin a resumable upload of a new version",
    query: { create },
    body: { json: "RegistryUploadBody", required: true },
    answers: { 201: { description: "It waits for its bytes at `Location`", json: "RegistryUpload" } },
    refusals: [400, 404, 413, 422, 503, 507],
  },
  {
    method: "get",
    path: "/registry/uploads/{upload}",
    tag,
    summary: "How far an upload is",
    answers: { 200: state },
    refusals: [404],
  },
  {
    method: "head",
    path: "/registry/uploads/{upload}",
    tag,
    summary: "The same without a body",
    answers: { 200: { description: state.description } },
    refusals: [404],
  },
  {
    method: "patch",
    path: "/registry/uploads/{upload}",
    tag,
    summary: "Bring more bytes; the request that brings the last one answers with the version",
    description: "What came before a break is kept. A new request takes over from one that is still open.",
    headers: { "Upload-Offset": uploadOffset },
    body: { media: BYTES, required: false },
    answers: {
      201: { description: "The version, at `Location`", json: "RegistryVersion" },
      204: { description: "There is more to come, from `Upload-Offset` on" },
    },
    refusals: [400, 404, 408, 409, 503, 507],
  },
  {
    method: "delete",
    path: "/registry/uploads/{upload}",
    tag,
    summary: "Give an upload up",
    answers: { 204: { description: "Nothing of it is left" } },
    refusals: [404],
  },
];

const ALIASES: readonly Operation[] = [
  {
    method: "get",
    path: "/registry/models/{model}/aliases",
    tag,
    summary: "A model's aliases",
    answers: { 200: { description: "By name", json: "RegistryAliases" } },
    refusals: [400, 404],
  },
  {
    method: "get",
    path: "/registry/models/{model}/aliases/{alias}",
    tag,
    summary: "What an alias means",
    answers: { 200: { description: "The alias", json: "RegistryAlias" } },
    refusals: [400, 404],
  },
  {
    method: "put",
    path: "/registry/models/{model}/aliases/{alias}",
    tag,
    summary: "Let an alias mean a version",
    body: { json: "RegistryAliasBody", required: true },
    answers: { 200: { description: "The alias", json: "RegistryAlias" } },
    refusals: [400, 404, 409, 422, 503],
  },
  {
    method: "delete",
    path: "/registry/models/{model}/aliases/{alias}",
    tag,
    summary: "Let an alias mean nothing any more; its history stays",
    answers: { 204: { description: "It is gone" } },
    refusals: [400, 404, 503],
  },
  {
    method: "get",
    path: "/registry/models/{model}/aliases/{alias}/history",
    tag,
    summary: "What an alias meant and since when, newest first",
    answers: { 200: { description: "At most 1,000", json: "RegistryAliasHistory" } },
    refusals: [400, 404],
  },
];

export const REGISTRY_OPERATIONS: readonly Operation[] = [...MODELS, ...VERSIONS, ...UPLOADS, ...ALIASES];
