/**
 * The registry's entry in a directory: made once the registry serves, looked up every 20 s, made again when it is gone, removed at the end.
 * Whatever the directory does, the registry goes on.
 */
import type { Clock } from "../../../core/runtime/clock.js";
import type { Logger } from "../../../core/runtime/logger.js";
import { type Directory, type DirectoryEntry, DirectoryProblem, type DirectoryService } from "./directory.js";
import { discoverAddress, isWildcard } from "./own-address.js";

export interface RegistrationOptions {
  readonly directory: Directory;
  readonly place: RegisteredPlace;
  /** The operator's own; those of {@link serviceOf} win. */
  readonly properties: Readonly<Record<string, string>>;
  /** Of the program. */
  readonly version: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** This machine's own address, where nothing better is known. Default: {@link discoverAddress}. */
  readonly discover?: () => Promise<string | null>;
}

export interface RegisteredPlace {
  /** The one that is configured; null: where the registry listens, or the machine's own address. */
  readonly host: string | null;
  readonly listenHost: string;
  /** That is really bound. */
  readonly port: number;
}

export interface RegistrationState {
  readonly isRegistered: boolean;
  /** Why not; null while it is, and before the first try has ended. */
  readonly problem: string | null;
  /** How often an entry was made. */
  readonly registrations: number;
}

export interface Registration {
  state(): RegistrationState;
  /** Removes the entry: within 10 s, and by the deadline (epoch ms). Idempotent; never rejects. */
  stop(deadlineMs: number): Promise<void>;
}

const LOOK_MS = 20_000;
const FIRST_PAUSE_MS = 1_000;
const DEREGISTER_MS = 10_000;
const NO_ADDRESS = "this machine has no address that others could reach: set registry.directory_registration_host";

export function startRegistration(options: RegistrationOptions): Registration {
  const keeper = new RegistrationKeeper(options);
  keeper.start();
  return keeper;
}

class RegistrationKeeper implements Registration {
  readonly #options: RegistrationOptions;
  readonly #stopping = new AbortController();
  #entry: DirectoryEntry | null = null;
  #state: RegistrationState = { isRegistered: false, problem: null, registrations: 0 };
  #failures = 0;
  #loop: Promise<void> = Promise.resolve();
  #stopped: Promise<void> | undefined;

  constructor(options: RegistrationOptions) {
    this.#options = options;
  }

  start(): void {
    this.#loop = this.#run();
  }

  state(): RegistrationState {
    return this.#state;
  }

  stop(deadlineMs: number): Promise<void> {
    this.#stopped ??= this.#stop(deadlineMs);
    return this.#stopped;
  }

  async #run(): Promise<void> {
    const { clock } = this.#options;
    const { signal } = this.#stopping;
    while (!signal.aborted) await clock.sleep(await this.#turn(), signal);
  }

  /** @returns milliseconds until the next one */
  async #turn(): Promise<number> {
    try {
      await this.#ensureEntry();
      this.#failures = 0;
      this.#become({ isRegistered: true, problem: null });
      return LOOK_MS;
    } catch (caught) {
      if (this.#stopping.signal.aborted) return 0;
      this.#failures += 1;
      // Only our own words: those of others may hold anything.
      const problem = caught instanceof DirectoryProblem ? caught.message : "an unforeseen fault";
      this.#become({ isRegistered: false, problem });
      return pauseAfter(this.#failures);
    }
  }

  async #ensureEntry(): Promise<void> {
    const { directory, logger } = this.#options;
    const { signal } = this.#stopping;
    if (this.#entry !== null) {
      if (await directory.shows(this.#entry, signal)) return;
      logger.warn({ event: "directory-forgot" }, "the directory shows the registry no more; registering again");
      // It may only be hidden, and would come back beside the new one.
      await directory.deregister(this.#entry, signal).catch(() => undefined);
      this.#entry = null;
    }
    const service = await this.#service();
    this.#entry = await directory.register(service, signal);
    this.#state = { ...this.#state, registrations: this.#state.registrations + 1 };
    if (await directory.shows(this.#entry, signal)) return;
    throw new DirectoryProblem(
      `the directory does not show the registry: it may not reach ${service.host} port ${service.port}`,
    );
  }

  async #service(): Promise<DirectoryService> {
    const { place, properties, version, discover = discoverAddress } = this.#options;
    const host = place.host ?? (isWildcard(place.listenHost) ? await discover() : place.listenHost);
    if (host === null) throw new DirectoryProblem(NO_ADDRESS);
    return serviceOf({ host, isConfigured: place.host !== null, port: place.port, properties, version });
  }

  #become(next: Pick<RegistrationState, "isRegistered" | "problem">): void {
    const before = this.#state;
    this.#state = { ...before, ...next };
    if (next.isRegistered === before.isRegistered && next.problem === before.problem) return;
    const { logger } = this.#options;
    if (next.isRegistered) logger.info({ event: "directory-registered" }, "registered with the directory");
    else logger.warn({ event: "directory-problem" }, `not registered, trying again: ${next.problem}`);
  }

  async #stop(deadlineMs: number): Promise<void> {
    const { directory, logger, clock } = this.#options;
    const bound = new AbortController();
    const leftMs = Math.min(DEREGISTER_MS, Math.max(0, deadlineMs - clock.now()));
    const cancel = clock.after(leftMs, () => bound.abort());
    this.#stopping.abort();
    await this.#loop;
    try {
      if (this.#entry !== null) await directory.deregister(this.#entry, bound.signal);
    } catch {
      logger.info({ event: "directory-left" }, "the directory could not be told that the registry ends");
    } finally {
      cancel();
      this.#entry = null;
      this.#state = { ...this.#state, isRegistered: false };
    }
  }
}

interface ServiceParts extends DirectoryService {
  readonly isConfigured: boolean;
  readonly version: string;
}

/** The directory's own names win over the operator's. Pure. */
export function serviceOf({ host, port, properties, isConfigured, version }: ServiceParts): DirectoryService {
  const own = {
    __version: version,
    __registration_source: isConfigured ? "Self-Command_Line" : "Self-Implicit",
  };
  return { host, port, properties: { ...properties, ...own } };
}

/** 1 s, doubling up to the pause between two looks. Pure. */
export function pauseAfter(failures: number): number {
  return Math.min(LOOK_MS, FIRST_PAUSE_MS * 2 ** Math.max(0, failures - 1));
}
