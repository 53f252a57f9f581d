/**
 * Sees the end of one container's run. Waits at the daemon, and looks for itself every now and then and after every time the daemon
 * was away: what counts is always what the container's state says.
 */
import type { Config } from "../../../config/schema.js";
import type { Clock } from "../../../core/runtime/clock.js";
import { addressOn, networkOf } from "../discovery/containers.js";
import type { ContainerDetails, DockerClient } from "../docker-client.js";
import { describeEnd, type EndHints } from "./container-state.js";
import type { ExitListener } from "./driver.js";

const LOOK_MS = 5_000;
const FIRST_RETRY_MS = 250;
const SLOWEST_RETRY_MS = 2_000;
/** An operator's signal counts as the cause of an end that comes so soon after it. */
const LATELY_MS = 60_000;
/** And the daemon's absence of one that comes so soon after its return. */
const JUST_BACK_MS = 10_000;
/** SIGINT, SIGQUIT, SIGKILL, SIGTERM. */
const ENDING_SIGNALS = ["2", "3", "9", "15"];

export interface WatchOptions {
  readonly docker: DockerClient;
  readonly config: Config;
  readonly clock: Clock;
  /** As its run began. */
  readonly details: ContainerDetails;
  /** Called once. */
  readonly onExit: ExitListener;
}

export class ContainerWatch {
  readonly #options: WatchOptions;
  readonly #over = new AbortController();
  #isStopping = false;

  constructor(options: WatchOptions) {
    this.#options = options;
    void this.#watch();
  }

  get id(): string {
    return this.#options.details.Id;
  }

  /** As its run began; null where it has none on the models' network. */
  get address(): string | null {
    const { details, config } = this.#options;
    return addressOn(networkOf(config), details.NetworkSettings.Networks);
  }

  get isOver(): boolean {
    return this.#over.signal.aborted;
  }

  /** Another container has its address: it has ended, whether or not the daemon can say how. */
  async lostItsAddress(): Promise<void> {
    const cause = await this.#look(true).catch(() => null);
    this.end(cause ?? "ended: its address belongs to another container now");
  }

  /** Whatever ends it from now on is our own doing, or, after a stop that failed, is not. */
  expectStop(isStopping: boolean): void {
    this.#isStopping = isStopping;
  }

  /** The run has ended, as far as its model is concerned. */
  end(cause: string): void {
    if (this.#over.signal.aborted) return;
    this.#over.abort();
    this.#options.onExit(this.#isStopping ? "was stopped" : cause);
  }

  /** Looks no longer; its end is not told. */
  leave(): void {
    this.#over.abort();
  }

  async #watch(): Promise<void> {
    const { signal } = this.#over;
    const { docker, clock } = this.#options;
    let pauseMs = FIRST_RETRY_MS;
    // By the clock that never jumps. A daemon that is back may show for a moment what ended with it as running.
    let awayAtMs = Number.NEGATIVE_INFINITY;
    while (!signal.aborted) {
      try {
        const cause = await this.#look(clock.elapsed() - awayAtMs < JUST_BACK_MS);
        if (cause !== null) return this.end(cause);
        pauseMs = FIRST_RETRY_MS;
        await docker.waitForEnd(this.id, LOOK_MS, signal);
      } catch {
        if (docker.isClosed) return;
        awayAtMs = clock.elapsed();
        // Nothing is lost with a watch that waits: it keeps nobody alive.
        await new Promise<void>((resolve) => clock.after(pauseMs, resolve));
        pauseMs = Math.min(pauseMs * 2, SLOWEST_RETRY_MS);
      }
    }
  }

  /** Why the run is over, or null while it goes on. */
  async #look(wasAway: boolean): Promise<string | null> {
    const { docker, config, details: before } = this.#options;
    const details = await docker.inspect(this.id, this.#over.signal);
    if (details === null) return "was removed by an operator";
    if (!details.State.Running) return describeEnd(details, await this.#hints(details, wasAway));
    if (details.State.StartedAt !== before.State.StartedAt) return "was started anew by an operator";
    const network = networkOf(config);
    const isThere = addressOn(network, details.NetworkSettings.Networks) === this.address;
    return isThere ? null : `is no longer at its address on the network '${network}'`;
  }

  /** Best effort: the daemon forgets its events when it ends, and keeps a few hundred of them. */
  async #hints(details: ContainerDetails, wasAway: boolean): Promise<EndHints> {
    const { docker, clock } = this.#options;
    const now = clock.now();
    const since = Math.max(Date.parse(details.State.StartedAt), now - LATELY_MS);
    const events = await docker.pastEvents(details.Id, since, now).catch(() => []);
    const wasKilledByHand = events.some(
      ({ Action, Actor }) => Action === "kill" && ENDING_SIGNALS.includes(Actor?.Attributes?.signal ?? ""),
    );
    return { wasAway, wasKilledByHand, wasOutOfMemory: events.some(({ Action }) => Action === "oom") };
  }
}
