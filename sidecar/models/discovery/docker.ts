/**
 * Finds model servers that run as containers, by their labels.
 *
 * The daemon's events only say when to look: what counts is always the whole list, read after every event, after every reconnect
 * and every 30 s. While the daemon is away what was found stays, and is probed.
 */
import type { Readable } from "node:stream";
import type { Config } from "../../../config/schema.js";
import type { Clock } from "../../../core/runtime/clock.js";
import type { Logger } from "../../../core/runtime/logger.js";
import type { DockerClient, DockerEvent } from "../docker-client.js";
import { readLines } from "../docker-lines.js";
import type { FoundServer } from "../watched-servers.js";
import { type ContainerRow, describeContainers, labelsToAskFor, type ManagedContainer } from "./containers.js";

/** Between two whole lists, and between two looks for a daemon that `auto` has not found yet. */
const RECONCILE_MS = 30_000;
const FIRST_RETRY_MS = 250;
const SLOWEST_RETRY_MS = 2_000;
/** Events come in bursts; one look answers all of them. */
const SETTLE_MS = 50;
/** The daemon tells some changes before its list shows them, so a look after an event is followed by one more. */
const AFTERMATH_MS = 1_000;

export interface DockerDiscoveryOptions {
  readonly config: Config;
  /** Stays its owner's: `stop` here does not close it. */
  readonly docker: DockerClient;
  readonly clock: Clock;
  readonly logger: Logger;
  /** After every look: running servers of others, and what Sluice itself may stop, in any state. */
  readonly onFound: (found: FoundServer[], managed: ManagedContainer[]) => void;
  /** The daemon went away: what it told may have changed. */
  readonly onAway: () => void;
}

export class DockerDiscovery {
  readonly #options: DockerDiscoveryOptions;
  /** How often each container was started while we listened: a container started anew is another server. */
  readonly #starts = new Map<string, number>();
  #events: Readable | null = null;
  #isStopped = false;
  #wasAnswering = false;
  #isAwayTold = false;
  #failures = 0;
  #isLooking = false;
  /** Something changed since the last look began. */
  #isNudged = false;
  #cancelTimer: () => void = () => {};
  #told = new Set<string>();

  constructor(options: DockerDiscoveryOptions) {
    this.#options = options;
  }

  start(): void {
    if (this.#options.config.discovery.docker.enabled !== false) void this.#look();
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancelTimer();
    this.#hangUp();
  }

  #schedule(afterMs: number): void {
    this.#cancelTimer();
    if (!this.#isStopped) this.#cancelTimer = this.#options.clock.after(afterMs, () => void this.#look());
  }

  /** Something changed: looks soon, once for a burst. A look that is under way may have read too early, so another follows it. */
  #nudge(): void {
    this.#isNudged = true;
    if (!this.#isLooking) this.#schedule(SETTLE_MS);
  }

  /** Listens where we do not yet, then reads the whole list: in this order, so that no change falls in between. */
  async #look(): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
    const restMs = this.#isNudged ? AFTERMATH_MS : RECONCILE_MS;
    this.#isNudged = false;
    let nextMs: number;
    try {
      if (this.#events === null) await this.#listen();
      this.#accept(await this.#list());
      nextMs = this.#isNudged ? SETTLE_MS : restMs;
    } catch (cause) {
      nextMs = this.#miss(cause);
    }
    this.#isLooking = false;
    this.#schedule(nextMs);
  }

  #accept(rows: ContainerRow[]): void {
    if (this.#isStopped) return;
    if (this.#isAwayTold) this.#options.logger.info({ event: "docker_back" }, "the Docker daemon answers again");
    else if (!this.#wasAnswering)
      this.#options.logger.info({ event: "docker_found" }, "model servers are looked for in Docker");
    this.#wasAnswering = true;
    this.#isAwayTold = false;
    this.#failures = 0;
    for (const id of this.#starts.keys()) if (!rows.some((row) => row.Id === id)) this.#starts.delete(id);
    const { found, managed, refused } = describeContainers(
      rows,
      this.#options.config,
      (id) => this.#starts.get(id) ?? 0,
    );
    for (const name of refused) this.#tellRefused(name);
    this.#options.onFound(found, managed);
  }

  #tellRefused(name: string): void {
    if (this.#told.has(name)) return;
    this.#told.add(name);
    this.#options.logger.warn({ container: name }, "a container is left out: its name cannot be a model's");
  }

  /** Notes that the daemon did not answer; the answer is the pause before the next look. */
  #miss(cause: unknown): number {
    this.#hangUp();
    const { enabled, socket } = this.#options.config.discovery.docker;
    const { code } = cause as { code?: unknown };
    if (this.#isStopped || (enabled === "auto" && !this.#wasAnswering && code !== "EACCES")) return RECONCILE_MS;
    if (!this.#isAwayTold) {
      this.#isAwayTold = true;
      const fields = { event: "docker_away", socket, ...(typeof code === "string" ? { code } : {}) };
      this.#options.logger.warn(fields, "the Docker daemon does not answer; what is known of it stays and is probed");
    }
    this.#options.onAway();
    const pauseMs = Math.min(FIRST_RETRY_MS * 2 ** this.#failures, SLOWEST_RETRY_MS);
    this.#failures = Math.min(this.#failures + 1, 10);
    return pauseMs;
  }

  #list(): Promise<ContainerRow[]> {
    const { docker, config } = this.#options;
    return docker.list(labelsToAskFor(config));
  }

  async #listen(): Promise<void> {
    const events = await this.#options.docker.events();
    if (this.#isStopped) {
      events.destroy();
      return;
    }
    this.#events = events;
    void this.#read(events);
  }

  async #read(events: Readable): Promise<void> {
    try {
      for await (const line of readLines(events)) {
        this.#note(line);
        this.#nudge();
      }
    } catch {
      // Whatever ended it, it is opened again.
    }
    if (this.#events !== events) return;
    this.#events = null;
    this.#nudge();
  }

  #note(line: string): void {
    try {
      const event = JSON.parse(line) as DockerEvent;
      const id = event.Actor?.ID;
      if (event.Type === "container" && event.Action === "start" && id !== undefined) {
        this.#starts.set(id, (this.#starts.get(id) ?? 0) + 1);
      }
    } catch {
      // A line that is cut off or not JSON still means that something changed.
    }
  }

  #hangUp(): void {
    const events = this.#events;
    this.#events = null;
    events?.destroy();
  }
}
