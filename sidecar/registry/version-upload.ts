/** One version on its way in, in one go: what comes is held against its header, and the version is made of it or nothing is. */
import { asSluiceError, SluiceError } from "../../core/contract/errors.js";
import type { VersionInfo } from "../../core/contract/registry.js";
import type { Seal } from "./archive/archive.js";
import type { Upload, VersionHeader } from "./registry.js";
import { checkHash, wrongSize } from "./version-rules.js";

/** Where its bytes go: a file of the archive, or memory. */
export interface ByteSink {
  readonly receivedBytes: number;
  write(chunk: Uint8Array): Promise<void>;
  seal(): Promise<Seal>;
  discard(): Promise<void>;
}

export interface VersionUploadOptions {
  readonly header: VersionHeader;
  readonly sink: ByteSink;
  /** Makes the version of what the sink holds. */
  readonly complete: (seal: Seal) => Promise<VersionInfo>;
  /** Called once, at its end. */
  readonly onEnd: () => void;
}

export class VersionUpload implements Upload {
  readonly #options: VersionUploadOptions;
  #receivedBytes = 0;
  #ending: Promise<unknown> | null = null;

  constructor(options: VersionUploadOptions) {
    this.#options = options;
  }

  get receivedBytes(): number {
    return this.#receivedBytes;
  }

  async write(chunk: Uint8Array): Promise<void> {
    if (this.#ending !== null) throw ended();
    const { header, sink } = this.#options;
    this.#receivedBytes += chunk.byteLength;
    try {
      if (this.#receivedBytes > header.dataBytes) throw wrongSize(header.dataBytes, this.#receivedBytes);
      await sink.write(chunk);
    } catch (caught) {
      await this.abort();
      throw asSluiceError(caught);
    }
  }

  commit(): Promise<VersionInfo> {
    if (this.#ending !== null) return Promise.reject(ended());
    const committed = this.#commit();
    this.#ending = committed.catch(() => undefined);
    return committed;
  }

  /** A commit that is under way goes on. */
  async abort(): Promise<void> {
    this.#ending ??= this.#discard();
    await this.#ending;
  }

  async #commit(): Promise<VersionInfo> {
    const { header, sink, complete, onEnd } = this.#options;
    try {
      if (this.#receivedBytes !== header.dataBytes) throw wrongSize(header.dataBytes, this.#receivedBytes);
      const seal = await sink.seal();
      checkHash(header, seal.hash);
      const info = await complete(seal);
      onEnd();
      return info;
    } catch (caught) {
      await this.#discard();
      throw asSluiceError(caught);
    }
  }

  /** What cannot be removed now is swept by the next start. */
  async #discard(): Promise<void> {
    try {
      await this.#options.sink.discard();
    } catch {
      // The upload has failed for a reason of its own, or nobody waits for it.
    } finally {
      this.#options.onEnd();
    }
  }
}

function ended(): SluiceError {
  return new SluiceError("STORE_FAILED", "this upload has ended before it was complete", {
    hint: "Send the version again.",
  });
}
