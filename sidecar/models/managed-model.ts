/** A model whose server Sluice itself starts and stops, wherever its definition comes from. */
import type { DeploySpec } from "../../core/contract/model-management.js";
import type { Pin } from "./pin.js";

export interface ManagedModel {
  readonly name: string;
  /** `config`: a `discovery.process` entry; `on-demand`: an enabled configuration; `deployment`: deployed by hand, or found so labelled. */
  readonly origin: "config" | "on-demand" | "deployment";
  readonly deploymentType: "auto" | "manual";
  /** As it was given: `latest` or an alias stays what it is, see {@link pinned}. */
  readonly modelUri: string | null;
  /** Version or alias of the registry's model that it follows; null: none. */
  readonly follow: string | null;
  /** The registry's version that its run was started with; null for other models, and while none runs. */
  readonly pinned: Pin | null;
  readonly modelType: string | null;
  readonly description: string | null;
  /** Stopped after this long without a lease; null: never. */
  readonly idleTtlMs: number | null;
  /** When it is removed, epoch ms; null: never. */
  readonly expiresAtMs: number | null;
  readonly deploy: DeploySpec | null;
}
