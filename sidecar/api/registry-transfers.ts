/** `/internal/registry/import` and `/internal/registry/export`: a run as NDJSON, for operators on this machine. It ends with its connection. */
import { isAbsolute } from "node:path";
import { Readable } from "node:stream";
import type { FastifyInstance, FastifyReply } from "fastify";
import { z } from "zod";
import { SluiceError } from "../../core/contract/errors.js";
import type { TransferEvent } from "../../core/contract/registry-transfer.js";
import { failedEvent, type Transfers } from "../registry/cogment/transfers.js";
import { readJson } from "./json-body.js";
import { goneSignal } from "./replies.js";

const MAX_REQUEST_BYTES = 1024 * 1024;

const absolute = z.string().refine(isAbsolute, "must be an absolute path");
const importRequest = z.strictObject({ dir: absolute, replaceUserData: z.boolean() });
const exportRequest = z.strictObject({ dir: absolute, modelIds: z.array(z.string()).nullable(), merge: z.boolean() });

export function registerRegistryTransfers(app: FastifyInstance, transfers: Transfers): void {
  app.post("/internal/registry/import", async (request, reply) => {
    const asked = checked(importRequest, await readJson<unknown>(request.raw, MAX_REQUEST_BYTES));
    return sendEvents(reply, (signal) => transfers.import(asked, signal));
  });
  app.post("/internal/registry/export", async (request, reply) => {
    const asked = checked(exportRequest, await readJson<unknown>(request.raw, MAX_REQUEST_BYTES));
    return sendEvents(reply, (signal) => transfers.export(asked, signal));
  });
}

function checked<Shape extends z.ZodType>(shape: Shape, body: unknown): z.infer<Shape> {
  const result = shape.safeParse(body);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw new SluiceError("INVALID_PARAMETER", `${issue?.path.join(".")}: ${issue?.message}`);
}

/** What keeps a run from beginning is answered as an error; what ends it later is its last line. */
async function sendEvents(
  reply: FastifyReply,
  begin: (signal: AbortSignal) => AsyncGenerator<TransferEvent>,
): Promise<FastifyReply> {
  const events = begin(goneSignal(reply));
  const first = await events.next();
  const lines = Readable.from(linesOf(first, events), { objectMode: false });
  return reply.header("content-type", "application/x-ndjson").header("cache-control", "no-store").send(lines);
}

async function* linesOf(
  first: IteratorResult<TransferEvent>,
  events: AsyncGenerator<TransferEvent>,
): AsyncGenerator<string> {
  try {
    if (first.done !== true) yield lineOf(first.value);
    for await (const event of events) yield lineOf(event);
  } catch (caught) {
    yield lineOf(failedEvent(caught));
  } finally {
    await events.return(undefined);
  }
}

function lineOf(event: TransferEvent): string {
  return `${JSON.stringify(event)}\n`;
}
