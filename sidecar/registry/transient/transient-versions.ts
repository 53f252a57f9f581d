/** The bytes of transient versions, in memory and in files without names: does what the ledger says must be done for the limits. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { SluiceError } from "../../../core/contract/errors.js";
import type { Logger } from "../../../core/runtime/logger.js";
import { fileCall } from "../../tasks/new-file.js";
import { VerifiedFiles } from "../../tasks/verified-files.js";
import type { OpenFile, Seal } from "../archive/archive.js";
import { INCOMING_FOLDER } from "../archive/archive-sweep.js";
import { onDisk } from "../archive/byte-faults.js";
import { ByteThreads } from "../archive/byte-threads.js";
import { Flight } from "../archive/flight.js";
import { hashFile } from "../archive/hash-file.js";
import { IncomingBytes } from "../archive/incoming-bytes.js";
import { Slots } from "../archive/slots.js";
import type { DataOptions } from "../registry.js";
import { MemoryBytes } from "./memory-bytes.js";
import { SpillFile, type SpillReading } from "./spill-file.js";
import { IncomingTransient } from "./transient-incoming.js";
import { nameOf, startsInFile, TransientLedger, type TransientLimits } from "./transient-ledger.js";
import type { TransientIncoming, TransientKey, Transients } from "./transients.js";

/** A MiB each. */
const READ_SLOTS = 8;
/** On their way through the thread. */
const MAX_WRITE_BYTES = 16 * 1024 * 1024;

export interface TransientOptions {
  /** The archive's: spill files are made in its `incoming/`, whose leftovers its sweep removes. */
  readonly dir: string;
  /** Read at every use. */
  readonly settings: () => TransientLimits;
  readonly logger: Logger;
}

interface Held {
  readonly key: TransientKey;
  readonly seal: Seal;
  bytes: MemoryBytes | SpillFile;
}

export async function openTransients(options: TransientOptions): Promise<TransientVersions> {
  await onDisk(fileCall(() => mkdir(join(options.dir, INCOMING_FOLDER), { recursive: true, mode: 0o700 })));
  return new TransientVersions(options);
}

export class TransientVersions implements Transients {
  readonly #options: TransientOptions;
  readonly #reading: SpillReading;
  readonly #writing = new Flight(MAX_WRITE_BYTES);
  readonly #ledger = new TransientLedger();
  readonly #held = new Map<string, Held>();
  readonly #uploads = new Set<IncomingTransient>();
  readonly #spilling = new Set<Promise<void>>();
  /** Come already, in memory. */
  #uploadBytes = 0;
  /** Announced, of uploads to memory. */
  #announcedBytes = 0;
  #onEvicted: (key: TransientKey) => void = () => {};
  #isClosed = false;

  constructor(options: TransientOptions) {
    this.#options = options;
    const threads = new ByteThreads(1, options.logger);
    const verified = new VerifiedFiles((handle) => hashFile(threads, handle));
    this.#reading = { threads, slots: new Slots(READ_SLOTS), verified };
  }

  async receive(bytes: number): Promise<TransientIncoming> {
    if (this.#isClosed) throw new SluiceError("SHUTTING_DOWN", "the registry is closed");
    if (startsInFile(bytes, this.#announcedBytes, this.#options.settings())) return this.#receiveFile();
    return this.#receiveMemory(bytes);
  }

  async open(key: TransientKey, options: DataOptions): Promise<OpenFile | null> {
    const held = this.#held.get(nameOf(key));
    if (held === undefined) return null;
    this.#ledger.touch(key);
    const { bytes, seal } = held;
    const stream = bytes instanceof MemoryBytes ? bytes.stream(options) : bytes.stream(seal, options, this.#reading);
    return { stream: await stream };
  }

  touch(key: TransientKey): void {
    this.#ledger.touch(key);
  }

  remove(key: TransientKey): void {
    const held = this.#held.get(nameOf(key));
    this.#held.delete(nameOf(key));
    this.#ledger.remove(key);
    if (held !== undefined) this.#drop(held.bytes);
  }

  setNewest(instance: number, versionNumber: number): void {
    this.#ledger.setNewest(instance, versionNumber);
    this.#obeyLimits();
  }

  onEvicted(listener: (key: TransientKey) => void): void {
    this.#onEvicted = listener;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#reading.threads.close();
    await Promise.allSettled([...this.#uploads].map((upload) => upload.discard()));
    await Promise.allSettled(this.#spilling);
    for (const { key } of [...this.#held.values()]) this.remove(key);
  }

  async #receiveFile(): Promise<TransientIncoming> {
    const target = await SpillFile.create(join(this.#options.dir, INCOMING_FOLDER));
    const bytes = this.#intoFile(target);
    const incoming: IncomingTransient = new IncomingTransient({
      bytes,
      target,
      makeRoom: async () => {},
      onKept: (key, seal) => this.#keep({ key, seal, bytes: target }),
      onEnd: () => this.#uploads.delete(incoming),
    });
    this.#uploads.add(incoming);
    return incoming;
  }

  #receiveMemory(announcedBytes: number): TransientIncoming {
    const target = new MemoryBytes();
    let cameBytes = 0;
    this.#announcedBytes += announcedBytes;
    const incoming: IncomingTransient = new IncomingTransient({
      bytes: new IncomingBytes({
        threads: this.#reading.threads,
        flight: this.#writing,
        file: null,
        heldBytes: 0,
        isDurable: false,
        onHashed: (chunks) => target.add(chunks),
      }),
      target,
      makeRoom: (bytes) => {
        cameBytes += bytes;
        this.#uploadBytes += bytes;
        return this.#makeRoom();
      },
      onKept: (key, seal) => this.#keep({ key, seal, bytes: target }),
      onEnd: () => {
        this.#uploads.delete(incoming);
        this.#announcedBytes -= announcedBytes;
        this.#uploadBytes -= cameBytes;
      },
    });
    this.#uploads.add(incoming);
    return incoming;
  }

  #intoFile(target: SpillFile): IncomingBytes {
    const { threads } = this.#reading;
    return new IncomingBytes({ threads, flight: this.#writing, file: target.file, heldBytes: 0, isDurable: false });
  }

  #keep(held: Held): void {
    const place = held.bytes instanceof MemoryBytes ? "memory" : "file";
    this.#held.set(nameOf(held.key), held);
    this.#ledger.add(held.key, held.seal.bytes, place);
    this.#obeyLimits();
  }

  /** Memory is held to its limit even while bytes come: who brings them waits for those that move to a file. */
  async #makeRoom(): Promise<void> {
    this.#obeyLimits();
    if (this.#spilling.size > 0) await Promise.all(this.#spilling);
  }

  #obeyLimits(): void {
    const limits = this.#options.settings();
    for (;;) {
      const key = this.#ledger.nextToEvict(limits, this.#uploadBytes);
      if (key === null) break;
      this.remove(key);
      this.#onEvicted({ instance: key.instance, versionNumber: key.versionNumber });
    }
    for (const key of this.#ledger.toSpill(limits, this.#uploadBytes)) {
      const spilling = this.#spill(key).finally(() => this.#spilling.delete(spilling));
      this.#spilling.add(spilling);
      spilling.catch((err) => {
        this.#options.logger.warn({ event: "spill_failed", err }, "a transient version stays in memory over the limit");
      });
    }
  }

  async #spill(key: TransientKey): Promise<void> {
    const held = this.#held.get(nameOf(key));
    if (held === undefined || !(held.bytes instanceof MemoryBytes)) return;
    this.#ledger.move(key, "spilling");
    let file: SpillFile | undefined;
    try {
      file = await SpillFile.create(join(this.#options.dir, INCOMING_FOLDER));
      await this.#copy(held.bytes, file);
    } catch (caught) {
      this.#ledger.move(key, "memory");
      this.#drop(file);
      throw caught;
    }
    this.#ledger.move(key, "file");
    held.bytes = file;
    // It may have gone meanwhile.
    if (this.#held.get(nameOf(key)) !== held) this.#drop(file);
  }

  /** Readers of the memory go on: it is given to nobody. */
  async #copy(memory: MemoryBytes, file: SpillFile): Promise<void> {
    const bytes = this.#intoFile(file);
    try {
      for (const chunk of memory.chunks) await bytes.write(new Uint8Array(chunk));
      await bytes.sync(true);
    } finally {
      await bytes.end(new SluiceError("STORE_FAILED", "this copy has ended"));
    }
  }

  #drop(bytes: MemoryBytes | SpillFile | undefined): void {
    if (!(bytes instanceof SpillFile)) return;
    bytes.drop().catch((err: unknown) => {
      this.#options.logger.warn({ event: "spill_not_closed", err }, "a spill file could not be closed");
    });
  }
}
