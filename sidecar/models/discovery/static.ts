/** Model servers named in the configuration, which somebody else runs. Pure. */
import type { Config } from "../../../config/schema.js";
import type { FoundServer } from "../watched-servers.js";

export function findStatic(config: Config): FoundServer[] {
  return config.discovery.static.map(({ name, url, concurrency }) => ({
    id: name,
    definition: {
      name,
      source: "static",
      url,
      address: null,
      onDemand: false,
      concurrency: concurrency ?? config.models.concurrency,
      modelType: null,
      modelUri: null,
      problem: null,
    },
  }));
}
