/** How many uploads may be under way at a time, of all kinds. */
import { SluiceError } from "../../core/contract/errors.js";

const MAX_UPLOADS = 64;

export class UploadPlaces {
  #taken = 0;

  get taken(): number {
    return this.#taken;
  }

  /** 0 to 1: full. */
  get load(): number {
    return this.#taken / MAX_UPLOADS;
  }

  /** @returns gives the place back; idempotent @throws REGISTRY_BUSY */
  take(): () => void {
    if (this.#taken >= MAX_UPLOADS) {
      throw new SluiceError("REGISTRY_BUSY", `${MAX_UPLOADS} uploads are under way, the limit`, {
        retryAfterMs: 5_000,
      });
    }
    this.#taken += 1;
    let isTaken = true;
    return () => {
      if (isTaken) this.#taken -= 1;
      isTaken = false;
    };
  }
}
