/** A model whose server Sluice itself starts and stops, wherever its definition comes from. */
import type { DeploySpec } from "../../core/contract/model-management.js";

export interface ManagedModel {
  readonly name: string;
  /** `config`: a `discovery.process` entry; `on-demand`: an enabled configuration; `deployment`: deployed by hand, or found so labelled. */
  readonly origin: "config" | "on-demand" | "deployment";
  readonly deploymentType: "auto" | "manual";
  readonly modelUri: string | null;
  readonly modelType: string | null;
  readonly description: string | null;
  /** Stopped after this long without a lease; null: never. */
  readonly idleTtlMs: number | null;
  /** When it is removed, epoch ms; null: never. */
  readonly expiresAtMs: number | null;
  readonly deploy: DeploySpec | null;
}
