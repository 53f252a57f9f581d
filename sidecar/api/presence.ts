/** What proxies tell of themselves, and what they ask before they use a model that was not ready in their table. */
import type { FastifyInstance } from "fastify";
import { encodeTableVersion, type PresenceReport, TABLE_VERSION_HEADER } from "../../core/contract/internal-api.js";
import type { AppDeps } from "./deps.js";
import { readJson } from "./json-body.js";
import { readWaitMs } from "./query.js";
import { goneSignal } from "./replies.js";

/** Tens of thousands of models fit. */
const MAX_REPORT_BYTES = 16 * 2 ** 20;

export function registerPresence(app: FastifyInstance, { catalogue, presence, clock }: AppDeps): void {
  app.post("/internal/presence", async (request, reply) => {
    presence.report(await readJson<PresenceReport>(request.raw, MAX_REPORT_BYTES));
    return reply.code(204).send();
  });

  app.post<{ Params: { name: string } }>("/internal/models/:name/ensure", async (request, reply) => {
    const untilMs = clock.elapsed() + readWaitMs(request.query);
    const signal = goneSignal(reply);
    for (;;) {
      const leftMs = Math.max(0, untilMs - clock.elapsed());
      const { name } = await catalogue.ensureReady(request.params.name, leftMs, signal);
      // Read in one moment with the version: whatever drains it later announces a later one.
      const entry = catalogue.get(name);
      if (entry?.state !== "ready") continue;
      return reply.header(TABLE_VERSION_HEADER, encodeTableVersion(presence.table)).send(entry);
    }
  });
}
