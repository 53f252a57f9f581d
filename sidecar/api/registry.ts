/** `/registry…`: the model registry over HTTP. Bytes are streamed both ways; everything else is a look into its index. */
import type { FastifyInstance } from "fastify";
import { registerRegistryAliases } from "./registry-aliases.js";
import { registerRegistryData } from "./registry-data.js";
import type { RegistryRouteDeps } from "./registry-deps.js";
import { registerRegistryModels } from "./registry-models.js";
import { registerRegistryPush } from "./registry-push.js";
import { registerRegistryUploads } from "./registry-uploads.js";
import { registerRegistryVersions } from "./registry-versions.js";

export function registerRegistryRoutes(app: FastifyInstance, deps: RegistryRouteDeps): void {
  registerRegistryModels(app, deps.registry);
  registerRegistryVersions(app, deps.registry);
  registerRegistryPush(app, deps);
  registerRegistryUploads(app, deps);
  registerRegistryData(app, deps);
  registerRegistryAliases(app, deps.registry);
}
