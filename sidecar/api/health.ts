/** `GET /health` in CMG's shape: every named part was really asked. */
import type { FastifyInstance } from "fastify";
import { createHealth } from "../health.js";
import type { AppDeps } from "./deps.js";
import { bothForms } from "./replies.js";

export function registerHealthRoute(app: FastifyInstance, deps: AppDeps): void {
  const { store, blobs, clock } = deps;
  const ask = createHealth(
    {
      database: () => store.probe(),
      task_object_store: () => blobs.probe("payload"),
      results_object_store: () => blobs.probe("result"),
      queue: async () => store.countWaiting(),
      ...deps.healthChecks,
    },
    clock.now,
    deps.outsideChecks,
  );
  for (const path of bothForms("/health")) {
    app.get(path, async (_request, reply) => {
      const { isHealthy, components } = await ask();
      if (isHealthy) return { status: "healthy", components };
      return reply.code(503).send({ detail: { status: "unhealthy", components } });
    });
  }
}
