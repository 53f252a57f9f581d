/** `POST` and `DELETE /models/<name>`: a model server started and removed by hand, as CMG has it. */
import type { FastifyInstance } from "fastify";
import { SluiceError } from "../../core/contract/errors.js";
import { MODEL_NAME } from "../../core/contract/models.js";
import type { ModelManagement } from "../models/management.js";
import { readBody, validatedFields } from "./body.js";
import { Query } from "./query.js";
import { bothForms, sendNothing } from "./replies.js";
import { deployBody, deployRequest } from "./shapes.js";

type OfModel = { Params: { name: string } };

export function registerDeploymentRoutes(app: FastifyInstance, management: ModelManagement): void {
  for (const url of bothForms("/models/:name")) {
    // A body that is no JSON is said first, then a wrong name, then wrong fields.
    app.post<OfModel>(url, async (request) => {
      const body = await readBody(request);
      const name = checkName(request.params.name);
      return management.deploy(name, deployRequest(validatedFields(deployBody, body)));
    });
    app.delete<OfModel>(url, async (request, reply) => {
      const name = checkName(request.params.name);
      const query = new Query(request.query);
      const force = query.flag("force");
      query.done();
      await management.remove(name, force);
      return sendNothing(reply);
    });
  }
}

function checkName(name: string): string {
  if (MODEL_NAME.test(name)) return name;
  throw new SluiceError(
    "MODEL_NAME_INVALID",
    "Invalid model name: it begins with a letter or digit, and up to 254 letters, digits, underscores, dots or hyphens follow",
  );
}
