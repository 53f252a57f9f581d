/**
 * The uploads in pieces of the registry on this machine: a row says how many bytes are on the disk for good, and
 * whatever lies beyond is cut off when the upload goes on. One that nobody goes on with is removed in the end.
 */
import { randomUUID } from "node:crypto";
import { asSluiceError, SluiceError } from "../../core/contract/errors.js";
import type { VersionInfo } from "../../core/contract/registry.js";
import { failpoint } from "../../core/runtime/failpoints.js";
import type { Incoming } from "./archive/archive.js";
import { commitArchived } from "./commit-version.js";
import { OpenIncoming } from "./open-incoming.js";
import { PieceSources } from "./piece-sources.js";
import type { VersionHeader } from "./registry.js";
import { type RegistryParts, settled } from "./registry-parts.js";
import type { StoredUpload } from "./store/registry-store.js";
import type { Appended, UploadState, Uploads } from "./uploads.js";
import { checkHash, checkHeader, modelUnknown, wrongSize } from "./version-rules.js";

/** Begun and not ended; each may hold a version's worth of disk. */
const MAX_BEGUN = 1_000;
/** After its last byte. */
const KEPT_MS = 24 * 3_600_000;
/** A crash costs so many bytes of a piece at most, beside what a second brings. */
const SYNC_EVERY_BYTES = 64 * 1024 * 1024;
const EXPIRY_PAUSE_MS = 3_600_000;
const EXPIRE_AT_MOST = 100;

export class ResumableUploads implements Uploads {
  readonly #parts: RegistryParts;
  readonly #files: OpenIncoming;
  readonly #busy = new Map<string, Promise<unknown>>();
  readonly #sources: PieceSources;
  #isClosed = false;
  #cancelTimer: () => void = () => {};

  constructor(parts: RegistryParts) {
    this.#parts = parts;
    this.#files = new OpenIncoming(parts.archive);
    this.#sources = new PieceSources(parts.clock);
  }

  async begin(header: VersionHeader): Promise<UploadState> {
    const { store, archive, settings } = this.#parts;
    this.#refuseClosed();
    const model = store.model(header.modelId);
    if (model === null) throw modelUnknown(header.modelId);
    checkHeader(header, settings().maxVersionBytes);
    if (!header.archived) {
      throw new SluiceError("INVALID_PARAMETER", "a transient version cannot be uploaded in pieces", {
        hint: "Send it in one go, or make it an archived one.",
      });
    }
    if (store.countUploads() >= MAX_BEGUN) {
      throw new SluiceError("REGISTRY_BUSY", `${MAX_BEGUN} uploads have begun and not ended, the limit`, {
        hint: "Go on with them or cancel them.",
        retryAfterMs: 60_000,
      });
    }
    const incoming = await archive.receive();
    const upload = {
      id: randomUUID(),
      instance: model.instance,
      incoming: incoming.id,
      header,
      offsetBytes: 0,
      expiresAtMs: this.#expiryMs(),
    };
    try {
      failpoint("registry.upload.before_row");
      await store.insertUpload(upload);
    } catch (caught) {
      if (store.upload(upload.id) === null) {
        await incoming.discard().catch(() => {});
        throw asSluiceError(caught);
      }
    }
    await this.#files.put(incoming);
    return stateOf(upload);
  }

  state(id: string): UploadState {
    return stateOf(this.#find(id));
  }

  append(id: string, offsetBytes: number, source: AsyncIterable<Uint8Array>): Promise<Appended> {
    return this.#alone(id, async () => {
      const upload = this.#find(id);
      if (offsetBytes !== upload.offsetBytes) {
        throw conflict(`the upload has ${upload.offsetBytes} bytes, the piece begins at ${offsetBytes}`);
      }
      const giveBack = this.#parts.places.take();
      try {
        return await this.#append(upload, source);
      } finally {
        giveBack();
      }
    });
  }

  async cancel(id: string): Promise<void> {
    await this.#alone(id, () => this.#drop(this.#find(id)));
  }

  /** Removes what has expired, now and from now on. */
  async watchExpiry(): Promise<void> {
    const { store, clock, log } = this.#parts;
    try {
      for (const upload of store.expiredUploads(clock.now(), EXPIRE_AT_MOST)) {
        if (!this.#busy.has(upload.id)) await this.#drop(upload);
      }
    } catch (err) {
      log.warn({ event: "uploads_not_expired", err }, "expired uploads could not be removed yet");
    }
    if (!this.#isClosed) {
      this.#cancelTimer = clock.after(EXPIRY_PAUSE_MS, () => void this.watchExpiry());
    }
  }

  /** Pieces under way end; what they have brought is kept. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#sources.end(shuttingDown());
    this.#cancelTimer();
    await Promise.allSettled(this.#busy.values());
    await this.#files.close();
  }

  async #append(upload: StoredUpload, source: AsyncIterable<Uint8Array>): Promise<Appended> {
    const { header, instance } = upload;
    if (this.#parts.store.modelIdOf(instance) === null) {
      await this.#drop(upload);
      throw modelUnknown(header.modelId);
    }
    const incoming = await this.#files.take(upload);
    if (incoming === null) {
      await this.#drop(upload);
      throw uploadUnknown();
    }
    try {
      const grown = await this.#receive(upload, incoming, source);
      if (grown.offsetBytes === header.dataBytes) return { version: await this.#complete(upload, incoming) };
      await this.#files.put(incoming);
      return { state: stateOf(grown) };
    } catch (caught) {
      const error = asSluiceError(caught);
      if (error.code === "VERSION_REJECTED" || error.code === "REGISTRY_MODEL_UNKNOWN") {
        await incoming.discard().catch(() => {});
        await this.#drop(upload);
      } else await incoming.suspend().catch(() => {});
      throw caught;
    }
  }

  /** @returns it with the bytes that are there now, for good */
  async #receive(upload: StoredUpload, incoming: Incoming, source: AsyncIterable<Uint8Array>): Promise<StoredUpload> {
    const { dataBytes } = upload.header;
    let syncedBytes = upload.offsetBytes;
    try {
      for await (const chunk of this.#sources.chunks(source)) {
        this.#refuseClosed();
        const receivedBytes = incoming.receivedBytes + chunk.byteLength;
        if (receivedBytes > dataBytes) throw wrongSize(dataBytes, receivedBytes);
        await incoming.write(chunk);
        if (incoming.receivedBytes - syncedBytes >= SYNC_EVERY_BYTES) {
          syncedBytes = (await this.#sync(upload, incoming)).offsetBytes;
        }
      }
    } catch (caught) {
      // A cut connection loses nothing that has come; where the disk is at fault this fails too, and the first fault is the one to tell.
      if (incoming.receivedBytes > syncedBytes) await this.#sync(upload, incoming).catch(() => {});
      throw caught;
    }
    return this.#sync(upload, incoming);
  }

  async #sync(upload: StoredUpload, incoming: Incoming): Promise<StoredUpload> {
    const { receivedBytes } = incoming;
    const expiresAtMs = this.#expiryMs();
    await incoming.sync();
    failpoint("registry.upload.after_sync");
    const { store } = this.#parts;
    const isThere = await settled(store.moveUpload(upload.id, receivedBytes, expiresAtMs), () =>
      store.upload(upload.id)?.offsetBytes === receivedBytes ? true : null,
    );
    if (!isThere) throw uploadUnknown();
    return { ...upload, offsetBytes: receivedBytes, expiresAtMs };
  }

  async #complete({ id, instance, header }: StoredUpload, incoming: Incoming): Promise<VersionInfo> {
    const seal = await incoming.seal();
    checkHash(header, seal.hash);
    return commitArchived(this.#parts, { instance, header, seal, uploadId: id }, incoming);
  }

  /** One call at a time for each upload. */
  async #alone<Value>(id: string, work: () => Promise<Value>): Promise<Value> {
    this.#refuseClosed();
    this.#find(id);
    if (this.#busy.has(id)) throw conflict("another piece of the upload is under way");
    const done = work();
    this.#busy.set(id, done);
    try {
      return await done;
    } finally {
      this.#busy.delete(id);
    }
  }

  async #drop(upload: StoredUpload): Promise<void> {
    await this.#parts.store.removeUpload(upload.id);
    await this.#files.remove(upload);
  }

  #find(id: string): StoredUpload {
    const { store, clock } = this.#parts;
    const upload = store.upload(id);
    if (upload === null || upload.expiresAtMs <= clock.now()) throw uploadUnknown();
    return upload;
  }

  #expiryMs(): number {
    return Math.round(this.#parts.clock.now()) + KEPT_MS;
  }

  #refuseClosed(): void {
    if (this.#isClosed) throw shuttingDown();
  }
}

function stateOf({ id, header, offsetBytes, expiresAtMs }: StoredUpload): UploadState {
  return { id, header, offsetBytes, expiresAtMs };
}

function uploadUnknown(): SluiceError {
  return new SluiceError("REGISTRY_UPLOAD_UNKNOWN", "no such upload is under way");
}

function conflict(message: string): SluiceError {
  return new SluiceError("REGISTRY_UPLOAD_CONFLICT", message);
}

function shuttingDown(): SluiceError {
  return new SluiceError("SHUTTING_DOWN", "the registry is stopping");
}
