/** The servers that Sluice itself starts and stops: one per managed model, whatever names it and wherever it runs; for a while a second. */
import { SluiceError } from "../../core/contract/errors.js";
import type { Logger } from "../../core/runtime/logger.js";
import type { VersionUse } from "../registry/registry.js";
import { FormerServers } from "./former-servers.js";
import type { ManagedModel } from "./managed-model.js";
import { ManagedServer, type ManagedServerOptions } from "./managed-server.js";
import type { Pin } from "./pin.js";
import type { ModelServer } from "./server.js";
import { FIRST_SLOT, SLOTS } from "./server-slot.js";

export interface ManagedServersOptions extends ManagedServerOptions {
  /** Where a model's present server was when an earlier sidecar ran; null: it never had another place than the first. */
  readonly slotOf: (name: string) => number | null;
  /** See {@link Holds.replaced}. */
  readonly replaced: (managed: ManagedServer) => void;
  readonly onChange: () => void;
  /** Nothing names this model any more, and nothing of it runs. */
  readonly onDropped: (name: string) => void;
  readonly logger: Logger;
}

export type Managed = Readonly<
  Pick<ManagedServer, "server" | "driver" | "model" | "next" | "begun" | "slot" | "uri" | "isAdmitted">
>;

/** How long a stop waits for former servers that nothing holds. */
const FORMERS_END_MS = 15_000;

export class ManagedServers {
  readonly formers: FormerServers;
  readonly #options: ManagedServersOptions;
  readonly #owned = new Map<string, ManagedServer>();
  /** By model: the server that is to take the place of the present one. */
  readonly #beside = new Map<string, ManagedServer>();
  /** Stops under way, by model. */
  readonly #stopping = new Map<string, number>();

  constructor(options: ManagedServersOptions) {
    this.#options = options;
    const { replaced, onChange, clock, logger } = options;
    const onGone = (name: string) => {
      this.#noteDropped(name);
      onChange();
    };
    this.formers = new FormerServers({ replaced, onGone, clock, logger });
  }

  get servers(): ModelServer[] {
    return [...this.#owned.values()].map(({ server }) => server);
  }

  /** The models' present servers. */
  get all(): Managed[] {
    return [...this.#owned.values()];
  }

  /** Those that stand beside them, or did. */
  get others(): ManagedServer[] {
    return [...this.#beside.values(), ...this.formers.all];
  }

  /** The registry's versions that servers run with, or start with now. */
  get uses(): VersionUse[] {
    return [...this.#owned.values(), ...this.others].flatMap(({ model: { name, pinned } }) =>
      pinned === null ? [] : [{ modelId: pinned.modelId, versionNumber: pinned.versionNumber, by: name }],
    );
  }

  get(name: string): Managed | undefined {
    return this.#owned.get(name);
  }

  beside(name: string): ManagedServer | undefined {
    return this.#beside.get(name);
  }

  /** Places of a model's servers. */
  slots(name: string): ReadonlySet<number> {
    const present = [this.#owned.get(name), this.#beside.get(name)].filter((each) => each !== undefined);
    return new Set([...present, ...this.formers.of(name)].map(({ slot }) => slot));
  }

  /** Somebody stops it now. */
  isStopping(name: string): boolean {
    return (this.#stopping.get(name) ?? 0) > 0;
  }

  /**
   * Takes over a new set of models. Where a server runs a change counts from its next start, and one that nothing names any more is
   * not started again; an entry that the configuration has lost is stopped as well, once nothing holds it.
   */
  follow(models: readonly ManagedModel[]): void {
    const wanted = new Map(models.map((model) => [model.name, model]));
    for (const [name, owned] of this.#owned) owned.next = wanted.get(name) ?? null;
    for (const [name, beside] of this.#beside) beside.next = wanted.get(name) ?? null;
    for (const model of wanted.values()) if (!this.#owned.has(model.name)) this.#add(model);
    this.settle();
    for (const owned of this.#owned.values()) {
      if (owned.next === null && owned.model.origin === "config") owned.server.drain();
      else if (!owned.isLooking && !owned.isDown && !owned.isSameRun) this.#tellKept(owned.server.name);
    }
    this.#options.onChange();
  }

  #tellKept(name: string): void {
    this.#options.logger.warn({ model: name }, "a running model server keeps its settings until its next start");
  }

  #add(model: ManagedModel): void {
    const slot = this.#options.slotOf(model.name);
    const owned = new ManagedServer(this.#options, model, { slot: slot ?? FIRST_SLOT, version: null });
    this.#owned.set(model.name, owned);
    this.#begin(owned);
    // Only what was rolled out before can have left something elsewhere: thousands of models are not looked for in vain.
    for (let each = 0; slot !== null && each < SLOTS; each++) if (each !== slot) this.#findFormer(model, each);
  }

  #findFormer(model: ManagedModel, slot: number): void {
    this.formers.find(new ManagedServer(this.#options, model, { slot, version: null }));
  }

  #begin(owned: ManagedServer): void {
    owned.begin(() => {
      // Where nothing was found nothing has changed: a change told for each of thousands of models would cost minutes.
      if (!this.#settle(owned)) this.#options.onChange();
    });
  }

  /** What a start waits for. */
  waitsFor(name: string, problem: string | null): void {
    this.#owned.get(name)?.waitsFor(problem);
  }

  /** To be called after changes of a server: what is down takes its new definition, or goes. */
  settle(): void {
    for (const owned of this.#owned.values()) this.#settle(owned);
    this.formers.settle();
  }

  /** @returns false when it went */
  #settle(owned: ManagedServer): boolean {
    const { server } = owned;
    if (owned.isDown && owned.next === null && this.#owned.get(server.name) === owned) {
      this.#owned.delete(server.name);
      this.abandon(server.name);
      server.close();
      this.#noteDropped(server.name);
      return false;
    }
    owned.settle();
    return true;
  }

  #noteDropped(name: string): void {
    if (this.slots(name).size === 0) this.#options.onDropped(name);
  }

  /** Starts a version's server beside the present one; whoever asked for it looks how far it is. */
  startBeside(name: string, version: Pin, slot: number): void {
    const { next, model } = this.#owned.get(name)!;
    const beside = new ManagedServer(this.#options, next ?? model, { slot, version });
    this.#beside.set(name, beside);
    // Nobody waits for it: its own bound ends its start.
    beside.server.ensureReady(0).catch(() => undefined);
  }

  /** The one beside takes the place of the present one, in this very turn; what had begun on that goes on there. */
  switch(name: string): void {
    const present = this.#owned.get(name)!;
    const beside = this.#beside.get(name)!;
    this.#beside.delete(name);
    this.#owned.set(name, beside);
    beside.takePlace(present.next);
    this.#options.onChange();
    this.formers.drain(present);
  }

  /** Ends the one beside. */
  abandon(name: string): void {
    const beside = this.#beside.get(name);
    if (beside === undefined) return;
    this.#beside.delete(name);
    this.formers.end(beside);
  }

  /**
   * {@link ModelServer.stopWhenIdle}, once what an earlier sidecar left of it was looked for. Nothing stands beside it any more then.
   * @throws what its driver refused to stop it with; it is looked for again then
   */
  async stopWhenIdle(name: string, waitMs: number): Promise<"stopped" | "held"> {
    this.#stopping.set(name, (this.#stopping.get(name) ?? 0) + 1);
    try {
      this.abandon(name);
      return await this.#stopWhenIdle(name, waitMs);
    } finally {
      const left = this.#stopping.get(name)! - 1;
      if (left > 0) this.#stopping.set(name, left);
      else this.#stopping.delete(name);
    }
  }

  async #stopWhenIdle(name: string, waitMs: number): Promise<"stopped" | "held"> {
    const owned = this.#owned.get(name);
    if (owned === undefined) return "stopped";
    await owned.begun;
    const outcome = await owned.server.stopWhenIdle(waitMs);
    try {
      // A run's end may be seen before all of it is gone.
      await owned.driver.stopped();
    } catch (cause) {
      this.adopt(name);
      throw cause;
    }
    return outcome === "stopped" && !(await this.formers.gone(name, FORMERS_END_MS)) ? "held" : outcome;
  }

  /** Looks again for a server of this model that runs already. @param slot where one was seen; null: in its own place */
  adopt(name: string, slot: number | null = null): void {
    const owned = this.#owned.get(name);
    if (owned === undefined) return;
    if (slot !== null && !this.slots(name).has(slot)) this.#findFormer(owned.model, slot);
    else if (owned.server.state === "absent" && !owned.isLooking) this.#begin(owned);
  }

  /**
   * Ends the processes; containers run on and are found again.
   * @param leave says of each process, when its end has come, whether it is left running
   */
  async stop(deadlineMs: number, leave: (server: ModelServer) => Promise<boolean>): Promise<void> {
    this.formers.close();
    const end = async ({ server, driver, isBeside }: ManagedServer) => {
      const isLeft = driver.place === "docker" || (!isBeside && (await leave(server)));
      if (!isLeft) return server.stop(deadlineMs);
      server.close(new SluiceError("SHUTTING_DOWN", "Sluice is stopping"));
      driver.leave();
    };
    await Promise.all([...this.#owned.values(), ...this.others].map(end));
  }
}
