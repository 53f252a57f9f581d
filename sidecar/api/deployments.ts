/** `POST` and `DELETE /models/<name>`: a model server started and removed by hand, as CMG has it. */
import type { FastifyInstance } from "fastify";
import type { ModelManagement } from "../models/management.js";
import { checkModelName } from "../models/model-name.js";
import { readBody, validatedFields } from "./body.js";
import { deployBody, deployRequest } from "./model-bodies.js";
import { Query } from "./query.js";
import { bothForms, sendNothing } from "./replies.js";

type OfModel = { Params: { name: string } };

export function registerDeploymentRoutes(app: FastifyInstance, management: ModelManagement): void {
  for (const url of bothForms("/models/:name")) {
    // `/models/` has an empty name, and is the list's own path. A body that is no JSON is said first, then a wrong name, then wrong fields.
    app.post<OfModel>(url, async (request, reply) => {
      const { name } = request.params;
      if (name === "") return reply.callNotFound();
      const body = await readBody(request);
      checkModelName(name);
      return management.deploy(name, deployRequest(validatedFields(deployBody, body)));
    });
    app.delete<OfModel>(url, async (request, reply) => {
      const { name } = request.params;
      if (name === "") return reply.callNotFound();
      checkModelName(name);
      const query = new Query(request.query);
      const force = query.flag("force");
      query.done();
      await management.remove(name, force);
      return sendNothing(reply);
    });
  }
}
