/**
 * Runs a model server as a process of its own: own process group, own log file, found again by a later sidecar.
 * It outlives us on purpose: when the sidecar is killed, light requests go on.
 */
import { randomUUID } from "node:crypto";
import type { FileHandle } from "node:fs/promises";
import type { Readable } from "node:stream";
import type { ProcessModelConfig } from "../../../config/schema.js";
import type { Clock } from "../../../core/runtime/clock.js";
import type { Logger } from "../../../core/runtime/logger.js";
import type { LogOptions } from "../management.js";
import { describeSignal, type ExitListener, type Launched, type ServerDriver, startFailure } from "./driver.js";
import { isPortFree, takeFreePort } from "./free-port.js";
import { formatMemory, type ServerLimits } from "./limits.js";
import { watchMemory } from "./memory-watch.js";
import {
  hashCommand,
  modelFolder,
  type ProcessRecord,
  readRecord,
  removeRecord,
  writeRecord,
} from "./process-record.js";
import { bootId, findRun, isSame, ProcessGroup, type ProcessIdentity, readProcess } from "./process-table.js";
import { openServerLog, readServerLog, rotateServerLog } from "./server-log.js";
import { NO_GIFT, type RegistryGift, spawnServer } from "./spawn-server.js";

/** From SIGTERM to SIGKILL. */
const STOP_GRACE_MS = 10_000;
/** How often a process that is not our child is looked at. */
const WATCH_MS = 500;
const ROTATE_MS = 5_000;

export interface ProcessDriverOptions {
  readonly name: string;
  /** Its place among the servers of its model; default the first. */
  readonly slot?: number;
  /** Null for a folder whose model is no longer configured: whatever runs there is ended. */
  readonly entry: ProcessModelConfig | null;
  /** Default: nothing. */
  readonly given?: RegistryGift;
  /** Memory is held to; processors are not, which is said once. Default: none. */
  readonly limits?: ServerLimits;
  readonly dataDir: string;
  readonly clock: Clock;
  readonly logger: Logger;
}

export class ProcessDriver implements ServerDriver {
  readonly #options: ProcessDriverOptions;
  readonly #folder: string;
  #group: ProcessGroup | null = null;
  /** One start, adoption or stop at a time. */
  #turn: Promise<unknown> = Promise.resolve();
  #cancelWatch: () => void = () => {};
  #cancelRotation: () => void = () => {};
  #cancelMemoryWatch: () => void = () => {};
  /** Why we ended the present run ourselves. */
  #verdict: string | null = null;
  #isCpuLimitTold = false;

  constructor(options: ProcessDriverOptions) {
    this.#options = options;
    this.#folder = modelFolder(options.dataDir, options.name, options.slot);
  }

  start(onExit: ExitListener): Promise<Launched> {
    return this.#inTurn(() => this.#start(onExit));
  }

  adopt(onExit: ExitListener): Promise<Launched | null> {
    return this.#inTurn(() => this.#adopt(onExit));
  }

  stop(deadlineMs: number): Promise<void> {
    return this.#inTurn(async () => {
      const group = this.#group;
      if (group === null) return;
      const graceMs = Math.min(STOP_GRACE_MS, Math.max(0, deadlineMs - this.#options.clock.now()));
      if (!(await group.end(graceMs))) {
        this.#options.logger.error(
          { model: this.#options.name, pid: group.identity.pid },
          "a model server cannot be ended",
        );
      }
      await this.#forget(group);
    });
  }

  leave(): void {
    this.#group = null;
    this.#cancelWatch();
    this.#cancelRotation();
    this.#cancelMemoryWatch();
  }

  logs(options: LogOptions): Promise<Readable> {
    const group = this.#group;
    return readServerLog(this.#folder, options, () => this.#group === null || this.#group !== group);
  }

  #inTurn<T>(action: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(action);
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  async #start(onExit: ExitListener): Promise<Launched> {
    const { entry, given = NO_GIFT } = this.#options;
    if (entry === null) throw startFailure("it is no longer configured");
    if (entry.port !== 0 && !(await isPortFree(entry.port))) throw startFailure(`its port ${entry.port} is in use`);
    const port = entry.port === 0 ? await takeFreePort() : entry.port;
    const record: ProcessRecord = {
      version: 1,
      run_id: randomUUID(),
      pid: null,
      start_time: null,
      boot_id: bootId(),
      port,
      command_hash: hashCommand(entry),
      model_uri: given.modelUri,
    };

    const isRecorded = await this.#write(record);
    // Where there is no room for a record there is none for a log, and a program may end when it cannot print.
    const log = isRecorded ? await this.#openLog() : null;
    const child = await spawnServer(entry, { port, given, runId: record.run_id, output: log?.fd ?? null })
      .catch(async (cause) => {
        await removeRecord(this.#folder).catch(() => undefined);
        throw cause;
      })
      .finally(() => log?.close());
    const identity = { pid: child.pid!, startTime: readProcess(child.pid!)?.startTime ?? null, runId: record.run_id };
    const group = new ProcessGroup(identity);
    this.#begin(group);
    child.once("exit", (code, signal) => this.#ended(group, describeExit(code, signal), onExit));
    if (child.exitCode !== null || child.signalCode !== null) {
      this.#ended(group, describeExit(child.exitCode, child.signalCode), onExit);
    }
    await this.#write({ ...record, pid: identity.pid, start_time: identity.startTime });
    return launched(identity, record);
  }

  /** @returns false when it cannot be written */
  async #write(record: ProcessRecord): Promise<boolean> {
    try {
      await writeRecord(this.#folder, record);
      return true;
    } catch (cause) {
      // A full disk must not keep a model from starting; only finding it again after a crash is lost.
      this.#options.logger.warn(
        { model: this.#options.name, err: cause },
        "the record of a model server cannot be written",
      );
      await removeRecord(this.#folder).catch(() => undefined);
      return false;
    }
  }

  async #openLog(): Promise<FileHandle | null> {
    try {
      await rotateServerLog(this.#folder);
      return await openServerLog(this.#folder);
    } catch (cause) {
      this.#options.logger.warn(
        { model: this.#options.name, err: cause },
        "the log of a model server cannot be written",
      );
      return null;
    }
  }

  async #adopt(onExit: ExitListener): Promise<Launched | null> {
    const record = await readRecord(this.#folder);
    if (record === null) {
      await removeRecord(this.#folder).catch(() => undefined);
      return null;
    }
    const identity = identify(record);
    if (identity === null) {
      await removeRecord(this.#folder).catch(() => undefined);
      return null;
    }
    const group = new ProcessGroup(identity);
    const { entry, name, logger } = this.#options;
    const isWanted = entry !== null && record.command_hash === hashCommand(entry);
    if (!isWanted || !isSame(identity)) {
      await group.end(isWanted ? 0 : STOP_GRACE_MS);
      await removeRecord(this.#folder).catch(() => undefined);
      if (!isWanted)
        logger.info({ model: name, pid: identity.pid }, "a model server that is no longer configured so was ended");
      return null;
    }
    this.#begin(group);
    this.#watch(group, onExit);
    // A start that was cut off gets its number now.
    if (record.pid === null) await this.#write({ ...record, pid: identity.pid, start_time: identity.startTime });
    logger.info({ event: "model_adopted", model: name, pid: identity.pid }, "a running model server was found again");
    return launched(identity, record);
  }

  /** The end of a process that is not our child is seen only by looking. */
  #watch(group: ProcessGroup, onExit: ExitListener): void {
    this.#cancelWatch = this.#options.clock.after(WATCH_MS, () => {
      if (this.#group !== group) return;
      if (isSame(group.identity)) this.#watch(group, onExit);
      else this.#ended(group, "ended", onExit);
    });
  }

  #begin(group: ProcessGroup): void {
    const { clock, limits, logger, name } = this.#options;
    this.#group = group;
    this.#verdict = null;
    this.#rotate();
    if (limits?.nanoCpus != null && !this.#isCpuLimitTold) {
      this.#isCpuLimitTold = true;
      logger.warn({ model: name }, "a process is not held to its limit of processors; the docker driver does that");
    }
    const limitBytes = limits?.memoryBytes ?? null;
    if (limitBytes === null) return;
    const onExcess = () => {
      this.#verdict = `ran out of memory (limit ${formatMemory(limitBytes)})`;
      void group.end(0);
    };
    this.#cancelMemoryWatch = watchMemory({ group, limitBytes, clock, onExcess });
  }

  #rotate(): void {
    this.#cancelRotation();
    this.#cancelRotation = this.#options.clock.after(ROTATE_MS, () => {
      if (this.#group === null) return;
      // A log that cannot be moved on today is tried again; it must not take the server down.
      void rotateServerLog(this.#folder)
        .catch(() => undefined)
        .then(() => this.#group !== null && this.#rotate());
    });
  }

  /** The leader is gone: what it left of its group goes too. */
  #ended(group: ProcessGroup, cause: string, onExit: ExitListener): void {
    void this.#inTurn(async () => {
      if (this.#group !== group) return;
      await group.end(0);
      await this.#forget(group);
    });
    onExit(this.#group === group ? (this.#verdict ?? cause) : cause);
  }

  async #forget(group: ProcessGroup): Promise<void> {
    if (this.#group !== group) return;
    this.#group = null;
    this.#cancelWatch();
    this.#cancelRotation();
    this.#cancelMemoryWatch();
    await removeRecord(this.#folder).catch(() => undefined);
  }
}

function launched({ pid }: ProcessIdentity, { port, model_uri }: ProcessRecord): Launched {
  return { url: `http://127.0.0.1:${port}`, id: `process-${pid}`, address: null, modelUri: model_uri };
}

/** Whom a record names, as far as it can still be told: null when the machine was started anew or nobody carries its run id. */
function identify(record: ProcessRecord): ProcessIdentity | null {
  if (record.boot_id === "" || record.boot_id !== bootId()) return null;
  if (record.pid === null) return findRun(record.run_id);
  return record.start_time === null ? null : { pid: record.pid, startTime: record.start_time, runId: record.run_id };
}

function describeExit(code: number | null, signal: NodeJS.Signals | null): string {
  return signal === null ? `exited with code ${code ?? 0}` : describeSignal(signal);
}
