/** Holds a data folder for one `sluice serve`: a lock file that names its owner. Locks of owners that are gone are taken over. */
import { accessSync, constants, linkSync, mkdirSync, renameSync, statSync, unlinkSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { dirname, join } from "node:path";
import { socketPathOf } from "../config/load.js";
import type { RegistryFiles } from "../config/registry-files.js";
import type { Config } from "../config/schema.js";
import { sleep } from "../core/runtime/clock.js";
import { CliError, EXIT } from "./exit.js";
import { beats, LockBeat } from "./lock-beat.js";
import { isAlive, isSameOwner, type LockOwner, ownOwner, parseOwner } from "./lock-owner.js";

/** What a folder is to the person who named it, and where another one is named. */
interface Purpose {
  readonly what: string;
  readonly namedBy: string;
}
const DATA: Purpose = { what: "data folder", namedBy: "--data-dir" };
const ARCHIVE: Purpose = { what: "archive's folder", namedBy: "--archive_dir or registry.archive_dir" };

/** An orphaned sidecar of a supervisor that was killed ends within this. */
const ORPHAN_ENDS_WITHIN_MS = 4_000;

export class DataLock {
  readonly #path: string;
  #owner: LockOwner;
  readonly #beat: LockBeat;

  private constructor(path: string, owner: LockOwner) {
    this.#path = path;
    this.#owner = owner;
    this.#beat = new LockBeat(path);
  }

  /**
   * Takes the folder, making it when it is missing.
   * @param socketPath the sidecar's socket: somebody who answers there holds the folder too
   * @param purpose for messages
   * @throws CliError naming who holds it
   */
  static async take(dataDir: string, socketPath: string, purpose = DATA): Promise<DataLock> {
    makeFolder(dataDir, purpose);
    const path = lockPath(dataDir);
    const owner = ownOwner();
    const lock = new DataLock(path, owner);
    let wasStale = false;
    while (!lock.#create()) {
      wasStale = true;
      const other = readLock(dataDir);
      if (other === null) refuseForeign(path);
      else if (other.place !== null && other.place !== owner.place) {
        if (await beats(path)) throw heldBy(dataDir, purpose, "another container or machine");
      } else if (isAlive(other)) throw heldBy(dataDir, purpose, `process ${other.pid}`);
      lock.#removeStale(other);
    }
    lock.#beat.start();
    const patientUntilMs = Date.now() + (wasStale ? ORPHAN_ENDS_WITHIN_MS : 0);
    while (await answers(socketPath)) {
      if (Date.now() >= patientUntilMs) {
        lock.release();
        throw heldBy(dataDir, purpose, `a sidecar that answers on ${socketPath}`);
      }
      await sleep(50);
    }
    return lock;
  }

  /** Writes down where the owner serves, for commands that want to reach it. */
  nameUrl(url: string): void {
    this.#owner = { ...this.#owner, url };
    const temporary = this.#writeTemporary();
    renameSync(temporary, this.#path);
  }

  release(): void {
    this.#beat.stop();
    try {
      if (isSameOwner(parseOwner(this.#path), this.#owner)) unlinkSync(this.#path);
    } catch {
      // The folder is gone; nothing is held.
    }
  }

  /** False when there is a lock already. A link is made whole or not at all. */
  #create(): boolean {
    const temporary = this.#writeTemporary();
    try {
      linkSync(temporary, this.#path);
      return true;
    } catch (caught) {
      if ((caught as NodeJS.ErrnoException).code === "EEXIST") return false;
      throw caught;
    } finally {
      unlinkSync(temporary);
    }
  }

  /** Moves the dead owner's lock aside; should another have taken it over meanwhile, puts that one's back. */
  #removeStale(expected: LockOwner | null): void {
    const aside = `${this.#path}.stale-${process.pid}`;
    try {
      renameSync(this.#path, aside);
      const moved = parseOwner(aside);
      if (moved !== null && !isSameOwner(moved, expected)) linkSync(aside, this.#path);
      unlinkSync(aside);
    } catch (caught) {
      const { code } = caught as NodeJS.ErrnoException;
      if (code !== "ENOENT" && code !== "EEXIST") throw caught;
    }
  }

  #writeTemporary(): string {
    const temporary = `${this.#path}.${process.pid}`;
    writeFileSync(temporary, `${JSON.stringify(this.#owner)}\n`, { mode: 0o600 });
    return temporary;
  }
}

/**
 * Locks the registry's archive too where it lies outside of the data folder: two registries would sweep each other's files away.
 * @param folder that is locked already
 * @throws CliError naming who holds it
 */
export async function lockArchive(config: Config, folder: string): Promise<DataLock[]> {
  const { archive_dir: archive } = config.registry;
  return archive === null || archive === folder ? [] : [await DataLock.take(archive, socketPathOf(config), ARCHIVE)];
}

/**
 * Holds a registry: the folder of its database, and its archive elsewhere.
 * @throws CliError naming who holds it
 */
export async function lockRegistry(config: Config, { databaseFile, isAlone }: RegistryFiles): Promise<DataLock[]> {
  const folder = dirname(databaseFile);
  const first = isAlone
    ? await DataLock.take(folder, join(folder, "sidecar.sock"), ARCHIVE)
    : await DataLock.take(folder, socketPathOf(config));
  try {
    return [first, ...(await lockArchive(config, folder))];
  } catch (caught) {
    first.release();
    throw caught;
  }
}

/** @throws CliError when the folder cannot be made or written to */
function makeFolder(dataDir: string, { what, namedBy }: Purpose): void {
  try {
    mkdirSync(dataDir, { recursive: true, mode: 0o700 });
    accessSync(dataDir, constants.W_OK);
  } catch (caught) {
    const { code } = caught as NodeJS.ErrnoException;
    throw new CliError(
      EXIT.failed,
      `the ${what} ${dataDir} cannot be used: ${code === "EEXIST" ? "it is a file" : code}`,
      {
        cause: caught,
        hint: `Give this user the right to write there, or choose another folder with ${namedBy}.`,
      },
    );
  }
}

/** Who holds the folder now, or null. */
export function readLock(dataDir: string): LockOwner | null {
  return parseOwner(lockPath(dataDir));
}

function lockPath(dataDir: string): string {
  return join(dataDir, "serve.lock");
}

/** What a power cut left of a lock is empty; anything else is somebody's own file. @throws CliError */
function refuseForeign(path: string): void {
  if ((statSync(path, { throwIfNoEntry: false })?.size ?? 0) === 0) return;
  if (parseOwner(path) !== null) return;
  throw new CliError(EXIT.failed, `${path} is no lock of Sluice's, and its name is needed for one`, {
    hint: "Move that file away, or choose another folder.",
  });
}

/** True while somebody listens on the sidecar's socket. */
export function answers(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(socketPath);
    const answer = (is: boolean) => {
      socket.destroy();
      resolve(is);
    };
    socket.setTimeout(1_000, () => answer(true));
    socket.once("connect", () => answer(true));
    socket.once("error", () => answer(false));
  });
}

function heldBy(dataDir: string, { what, namedBy }: Purpose, holder: string): CliError {
  return new CliError(EXIT.failed, `the ${what} ${dataDir} is in use by ${holder}`, {
    hint: `Stop that one first, or choose another folder with ${namedBy}.`,
  });
}
