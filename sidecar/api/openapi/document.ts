/** OpenAPI 3.1 of the whole public API, written from the schemas that bodies are held against. */
import { z } from "zod";
import { ERRORS, type ErrorCode } from "../../../core/contract/errors.js";
import * as bodies from "../model-bodies.js";
import * as models from "../model-shapes.js";
import * as registryBodies from "../registry-bodies.js";
import * as registry from "../registry-shapes.js";
import { MODEL_OPERATIONS } from "./model-operations.js";
import type { Content, Operation } from "./operation.js";
import { REGISTRY_OPERATIONS } from "./registry-operations.js";
import { SERVICE_OPERATIONS } from "./service-operations.js";
import { TASK_OPERATIONS } from "./task-operations.js";
import * as tasks from "./task-shapes.js";

export const OPERATIONS: readonly Operation[] = [
  ...MODEL_OPERATIONS,
  ...TASK_OPERATIONS,
  ...REGISTRY_OPERATIONS,
  ...SERVICE_OPERATIONS,
];

const verdict = z.enum(["healthy", "unhealthy"]);
const components = z.record(z.string(), verdict);

const item = z.object({
  type: z.string(),
  loc: z.array(z.union([z.string(), z.int()])),
  msg: z.string(),
  input: z.unknown(),
  ctx: z.record(z.string(), z.unknown()).optional(),
});

const refusal = z.object({
  source: z.literal("sluice"),
  error: z.object({
    code: z.enum(Object.keys(ERRORS) as [ErrorCode, ...ErrorCode[]]),
    message: z.string(),
    hint: z.string().optional(),
    requestId: z.string().optional(),
  }),
  detail: z.union([z.string(), z.array(item)]).describe("The message; of 422 the refused values where there are some"),
});

const SCHEMAS: Readonly<Record<string, z.ZodType>> = {
  Model: models.modelObject,
  ModelLists: models.modelLists,
  DeployBody: bodies.deployBody,
  Deployed: models.deployed,
  OnDemandConfig: models.onDemandConfig,
  OnDemandList: models.onDemandList,
  OnDemandCreate: bodies.createBody,
  OnDemandUpdate: bodies.updateBody,
  ModelState: models.modelState,
  ModelStates: models.modelStates,
  ModelEvent: models.modelEvent,
  TaskAccepted: tasks.taskAccepted,
  TaskState: tasks.taskState,
  TaskDetail: tasks.taskDetail,
  TaskAnswer: tasks.taskAnswer,
  TaskCancelled: tasks.taskCancelled,
  TaskEvent: tasks.taskEvent,
  TaskWhy: tasks.taskWhy,
  RegistryModel: registry.registryModel,
  RegistryModels: registry.registryModels,
  RegistryModelBody: registryBodies.modelBody,
  RegistryVersion: registry.registryVersion,
  RegistryVersions: registry.registryVersions,
  RegistryUpload: registry.registryUpload,
  RegistryUploadBody: registryBodies.uploadBody,
  RegistryAlias: registry.registryAlias,
  RegistryAliases: registry.registryAliases,
  RegistryAliasBody: registryBodies.aliasBody,
  RegistryAliasHistory: registry.registryHistory,
  Greeting: z.object({ message: z.string() }),
  Health: z.object({ status: z.literal("healthy"), components }),
  Unhealthy: z.object({ detail: z.object({ status: z.literal("unhealthy"), components }) }),
  Readiness: z.object({
    status: z.enum(["ready", "degraded", "draining"]),
    components: z.record(z.string(), z.string()),
    models: z.object({ ready: z.int() }),
  }),
  Refusal: refusal,
};

type Json = Record<string, unknown>;

/** @param version of the program */
export function createDocument(version: string): Json {
  const paths: Record<string, Json> = {};
  for (const operation of OPERATIONS) {
    paths[operation.path] = { ...paths[operation.path], [operation.method]: describe(operation) };
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "Sluice",
      version,
      description:
        "One door in front of a team's model servers. Every path answers with and without a slash at its end.",
    },
    paths,
    components: { schemas: componentSchemas() },
  };
}

function componentSchemas(): Json {
  const registry = z.registry<{ id: string }>();
  for (const [id, schema] of Object.entries(SCHEMAS)) registry.add(schema, { id });
  const { schemas } = z.toJSONSchema(registry, { ...JSON_SCHEMA, uri: (id) => referTo(id) });
  return Object.fromEntries(Object.entries(schemas).map(([id, schema]) => [id, bare(schema)]));
}

/** What comes out describes both ways: nothing more is forbidden, and a whole number's own bounds go without saying. */
const JSON_SCHEMA = {
  override({ jsonSchema }: { jsonSchema: Json }) {
    if (jsonSchema.additionalProperties === false) delete jsonSchema.additionalProperties;
    if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
    if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum;
  },
} as const;

const referTo = (id: string) => `#/components/schemas/${id}`;

function bare(schema: object): Json {
  const { $schema: _dialect, $id: _id, ...rest } = schema as Json;
  return rest;
}

function describe(operation: Operation): Json {
  const { method, path, tag, summary, description, body, answers, refusals = [] } = operation;
  return {
    operationId: `${method}${path.replace(/[^A-Za-z0-9]+(.?)/g, (_all, next: string) => next.toUpperCase())}`,
    tags: [tag],
    summary,
    ...(description === undefined ? {} : { description }),
    parameters: parametersOf(operation),
    ...(body === undefined ? {} : { requestBody: { required: body.required, content: contentOf(body) } }),
    responses: {
      ...Object.fromEntries(
        Object.entries(answers).map(([status, answer]) => [
          status,
          { description: answer.description, ...(isEmpty(answer) ? {} : { content: contentOf(answer) }) },
        ]),
      ),
      ...Object.fromEntries(refusals.map((status) => [status, refusedWith(status)])),
    },
  };
}

const isEmpty = ({ json, media }: Content) => json === undefined && media === undefined;

function contentOf({ json, media = [] }: Content): Json {
  return {
    ...(json === undefined ? {} : { "application/json": { schema: { $ref: referTo(json) } } }),
    ...Object.fromEntries(media.map((type) => [type, {}])),
  };
}

function refusedWith(status: number): Json {
  const codes = Object.entries(ERRORS).flatMap(([code, row]) => (row.status === status ? [code] : []));
  return { description: `Refused; code one of ${codes.join(", ")}`, content: contentOf({ json: "Refusal" }) };
}

function parametersOf({ path, query = {}, headers = {} }: Operation): Json[] {
  const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name,
    in: "path",
    required: true,
    schema: { type: name === "id" ? "integer" : "string" },
  }));
  const others = (place: string, schemas: Readonly<Record<string, z.ZodType>>) =>
    Object.entries(schemas).map(([name, schema]) => {
      const { description, ...rest } = bare(z.toJSONSchema(schema, JSON_SCHEMA));
      return { name, in: place, description, schema: rest };
    });
  return [...inPath, ...others("query", query), ...others("header", headers)];
}
