/** `proxy` and `discovery`: where Sluice listens and which model servers there are. */
import { z } from "zod";
import { ALIAS_NAME } from "../../core/contract/registry.js";
import {
  command,
  count,
  duration,
  LONGEST_AGE_MS,
  modelName,
  modelUri,
  optionalText,
  port,
  rateLimit,
  size,
  template,
  text,
  url,
  variables,
} from "./values.js";

const alias = z
  .strictObject({
    port: port().nullable().default(null).describe("A port of its own for this model; 0 takes a free one"),
    host: optionalText().describe("A host name (the request's Host without port) for this model"),
    model: modelName().describe("The model that answers there"),
  })
  .refine((value) => (value.port === null) !== (value.host === null), { error: "needs either port or host" });

export const proxy = z.strictObject({
  host: text()
    .min(1)
    .default("127.0.0.1")
    .describe("Address to listen on; there are no API keys yet, so wider than loopback warns"),
  port: port().default(8888).describe("HTTP port; 0 takes a free one"),
  workers: count().max(64).default(1).describe("Proxy processes"),
  aliases: z
    .array(alias)
    .default([])
    .describe("Ports or host names under which one model answers without /models/<name>"),
  max_body_size: size().prefault("8GiB").describe("Largest request body, light or heavy; above it 413"),
  timeouts: z
    .strictObject({
      connect: duration(1).prefault("10s").describe("Connecting to a model server"),
      headers: duration(1).prefault("30s").describe("A client's request line and headers"),
      body: duration(1).prefault("60s").describe("Silence inside a body that is being written down"),
      response: duration(1)
        .prefault("15m")
        .describe("From the request's end to a model server's first byte; bulk routes compute everything first"),
      idle: duration(1)
        .prefault("15m")
        .describe("Silence inside a light request or answer; above the 300 s of CMS's event streams"),
      drain: duration().prefault("30s").describe("For what is in flight when Sluice stops"),
    })
    .prefault({})
    .describe("Bounds on waiting"),
});

const staticModel = z.strictObject({
  name: modelName().describe("Name under /models/"),
  url: url().describe("Base URL of the model server"),
  concurrency: count().nullable().default(null).describe("Queued or gated calls at a time; null: models.concurrency"),
  rate_limit: rateLimit().describe("How often it is called; null: models.rate_limit"),
});

const processModel = z.strictObject({
  name: modelName().describe("Name under /models/"),
  command: command(),
  port: port().default(0).describe("Port it is told to listen on; 0 takes a free one"),
  env: variables(),
  cwd: template()
    .min(1)
    .nullable()
    .default(null)
    .describe("Working folder, {sluice_home} is filled in; null: Sluice's own"),
  model_uri: modelUri().describe(
    "Handed to the command as {model_uri}; the file of sluice://<model>/<number, latest or alias> as {model_path}",
  ),
  model_type: optionalText().describe("Handed to the command as {model_type}, and shown with the model"),
  idle_ttl: duration(1_000, LONGEST_AGE_MS)
    .nullable()
    .default(null)
    .describe("Stopped after this long without use; null: never"),
  follow: text()
    .refine((value) => value === "latest" || ALIAS_NAME.test(value), { error: "must be latest or an alias" })
    .nullable()
    .default(null)
    .describe(
      "latest, or an alias, of the registry's model in model_uri: a running server is replaced when that means another version; null: it runs on until its next start",
    ),
  concurrency: count().nullable().default(null).describe("Queued or gated calls at a time; null: models.concurrency"),
  rate_limit: rateLimit().describe("How often it is called; null: models.rate_limit"),
});

export const discovery = z.strictObject({
  static: z.array(staticModel).default([]).describe("Model servers that somebody else runs"),
  process: z.array(processModel).default([]).describe("Model servers that Sluice starts at the first request"),
  docker: z
    .strictObject({
      enabled: z
        .union([z.boolean(), z.literal("auto")], { error: "must be true, false or auto" })
        .default("auto")
        .describe("Find model servers among containers; auto: when the socket answers"),
      project: optionalText().describe("Compose project; null: cms.project_name"),
      network: optionalText().describe("Network on which model servers are reached; null: cms.network"),
      socket: text().min(1).default("/var/run/docker.sock").describe("Docker's Unix socket"),
    })
    .prefault({})
    .describe("Model servers in containers"),
  probe_interval: duration(100).prefault("1s").describe("Between readiness checks of a model that is not ready yet"),
  recheck_interval: duration(100).prefault("10s").describe("Between checks of a model that is ready"),
});
