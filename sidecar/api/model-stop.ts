/** `POST /internal/models/<name>/stop`: ends a model server of ours once nothing holds it. */
import type { FastifyInstance } from "fastify";
import type { StopAnswer } from "../../core/contract/internal-api.js";
import type { ManagedCatalogue } from "../models/model-catalogue.js";
import { readWaitMs } from "./query.js";

export function registerModelStop(app: FastifyInstance, catalogue: Pick<ManagedCatalogue, "stopModel">): void {
  app.post<{ Params: { name: string } }>("/internal/models/:name/stop", async (request): Promise<StopAnswer> => {
    return { result: await catalogue.stopModel(request.params.name, readWaitMs(request.query)) };
  });
}
