/** Imports and exports of whole archives: one at a time, since each reads and writes as fast as the disks let it. */
import { asSluiceError, SluiceError } from "../../../core/contract/errors.js";
import type {
  ExportRequest,
  FailedEvent,
  ImportRequest,
  TransferEvent,
} from "../../../core/contract/registry-transfer.js";
import type { ImportTarget } from "../importer.js";
import { exportArchive } from "./export-archive.js";
import { importArchive } from "./import-archive.js";

export class Transfers {
  readonly #target: ImportTarget;
  #isBusy = false;

  constructor(target: ImportTarget) {
    this.#target = target;
  }

  /** @throws REGISTRY_BUSY while another one is under way, and as {@link importArchive} */
  import(request: ImportRequest, signal: AbortSignal): AsyncGenerator<TransferEvent> {
    return this.#alone(() => importArchive(request, this.#target, signal));
  }

  /** @throws REGISTRY_BUSY while another one is under way, and as {@link exportArchive} */
  export(request: ExportRequest, signal: AbortSignal): AsyncGenerator<TransferEvent> {
    return this.#alone(() => exportArchive(request, this.#target.registry, signal));
  }

  async *#alone(begin: () => AsyncGenerator<TransferEvent>): AsyncGenerator<TransferEvent> {
    if (this.#isBusy) throw new SluiceError("REGISTRY_BUSY", "another import or export is under way");
    this.#isBusy = true;
    try {
      yield* begin();
    } finally {
      this.#isBusy = false;
    }
  }
}

/** What ended a run before its end, as the last event of it. */
export function failedEvent(caught: unknown): FailedEvent {
  const { code, message, hint } = asSluiceError(caught);
  return { event: "failed", code, message, hint: hint ?? null };
}
