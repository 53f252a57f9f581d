/** A model server's own output, streamed. It may hold notes: to operators on the machine itself, to others only where the configuration allows it. */
import { pipeline } from "node:stream/promises";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { SluiceError } from "../../core/contract/errors.js";
import type { ModelManagement } from "../models/management.js";
import { Query } from "./query.js";
import { bothForms } from "./replies.js";

const DEFAULT_TAIL = 100;
const MAX_TAIL = 10_000;

interface ModelLogDeps {
  readonly management: Pick<ModelManagement, "logs">;
  readonly areLogsPublic: () => boolean;
}

type OfModel = FastifyRequest<{ Params: { name: string } }>;

export function registerModelLogs(app: FastifyInstance, { management, areLogsPublic }: ModelLogDeps): void {
  const ending = new AbortController();
  app.addHook("preClose", async () => ending.abort());
  const stream = (request: OfModel, reply: FastifyReply) => sendLogs(request, reply, { management, ending });
  for (const url of bothForms("/admin/models/:name/logs")) {
    app.get(url, async (request: OfModel, reply) => {
      if (!areLogsPublic()) throw new SluiceError("LOGS_FORBIDDEN", "Only operators read the logs of model servers");
      return stream(request, reply);
    });
  }
  // The proxy forwards no internal path, so who asks here may read the data folder.
  app.get("/internal/models/:name/logs", stream);
}

interface LogSource {
  readonly management: Pick<ModelManagement, "logs">;
  readonly ending: AbortController;
}

async function sendLogs(request: OfModel, reply: FastifyReply, { management, ending }: LogSource): Promise<void> {
  const query = new Query(request.query);
  const asked = {
    tail: query.integer("tail", { min: 0, max: MAX_TAIL }) ?? DEFAULT_TAIL,
    follow: query.flag("follow"),
  };
  query.done();
  const { raw } = reply;
  const done = new AbortController();
  const end = () => done.abort();
  raw.once("close", end);
  ending.signal.addEventListener("abort", end, { once: true });
  try {
    const lines = await management.logs(request.params.name, { ...asked, signal: done.signal });
    reply.hijack();
    raw.writeHead(200, {
      "content-type": "text/plain; charset=utf-8",
      "cache-control": "no-store",
      "x-accel-buffering": "no",
      "x-content-type-options": "nosniff",
      "x-request-id": request.id,
    });
    // A log that is followed may say nothing for hours; the caller learns at once that it is there.
    raw.flushHeaders();
    await pipeline(lines, raw).catch(() => raw.destroy());
  } finally {
    raw.off("close", end);
    ending.signal.removeEventListener("abort", end);
  }
}
