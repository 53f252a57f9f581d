/** Server-sent events: the head, a comment now and then, and an end when the sidecar ends. */
import type { ServerResponse } from "node:http";
import type { FastifyInstance, FastifyReply } from "fastify";

/** A comment this often keeps proxies on the way from closing a quiet stream. */
const COMMENT_MS = 15_000;

export class EventStreams {
  readonly #open = new Set<ServerResponse>();

  constructor(app: FastifyInstance) {
    app.addHook("preClose", async () => {
      for (const raw of this.#open) raw.end();
    });
  }

  /** Takes the reply over. @param onClose called once, when either side has ended it */
  begin(reply: FastifyReply, headers: Readonly<Record<string, string>>, onClose: () => void): ServerResponse {
    const { raw } = reply;
    reply.hijack();
    raw.writeHead(200, {
      "content-type": "text/event-stream",
      "cache-control": "no-store",
      "x-accel-buffering": "no",
      "x-request-id": reply.request.id,
      ...headers,
    });
    this.#open.add(raw);
    // Whoever does not read what it has been sent is not sent more of what can wait.
    const comments = setInterval(() => raw.writableNeedDrain || raw.write(": still here\n\n"), COMMENT_MS).unref();
    raw.once("close", () => {
      clearInterval(comments);
      this.#open.delete(raw);
      onClose();
    });
    return raw;
  }
}
