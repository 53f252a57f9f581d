/** The sidecar's one view of all model servers, whatever their source. The rest of the sidecar sees models through this interface. */
import type { ModelEntry } from "../../core/contract/models.js";
import type { LeaseOn } from "./leases.js";

export interface ModelCatalogue {
  /** By name, or by the address of a running one. */
  get(nameOrAddress: string): ModelEntry | undefined;
  list(): ModelEntry[];
  /**
   * Resolves when the model is ready, starting it if a request may. One start serves all waiters.
   * @param waitMs how long to wait, 0..models.deployment.auto.health_check_timeout
   * @throws MODEL_UNKNOWN, MODEL_NOT_READY (with retryAfterMs), MODEL_START_FAILED
   */
  ensureReady(nameOrAddress: string, waitMs: number, signal?: AbortSignal): Promise<ModelEntry>;
  /** Called after every change of any entry. The answer unsubscribes. */
  onChange(listener: (models: ModelEntry[]) => void): () => void;
  /**
   * Keeps a model from being stopped by us while the lease is held (promise 4). The answer releases it; releasing twice is harmless.
   * Idle time counts from the last release.
   * @param on default `model`. Of the other two: to be taken in the turn in which the call's address is read
   */
  lease(name: string, holder: string, on?: LeaseOn): () => void;
  /** True for the moment before another server takes the place of the model's present one: no training may be sent to it now. */
  isChanging(name: string): boolean;
}
