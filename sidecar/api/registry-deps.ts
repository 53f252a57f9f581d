/** What the registry's routes stand on. */
import type { Registry } from "../registry/registry.js";
import type { Uploads } from "../registry/uploads.js";

export interface RegistryRouteDeps {
  readonly registry: Registry;
  readonly uploads: Uploads;
  /** Silence inside a body, either way, after which it is given up. */
  readonly idleMs: () => number;
}
