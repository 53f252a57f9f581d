/**
 * Brings the newest version to models that follow one: asks `rollout.ts` what is next for each of them and does it. Owner of the
 * changes that are under way; the servers are `managed-servers.ts`'s.
 *
 * A change of servers is durable before it is made, and no training is sent while it is: after a crash the server that trains is the
 * present one, and whatever runs in another place is a former one.
 */
import type { Clock } from "../../core/runtime/clock.js";
import { failpoint } from "../../core/runtime/failpoints.js";
import type { Logger } from "../../core/runtime/logger.js";
import type { ManagedModel } from "./managed-model.js";
import type { Managed, ManagedServers } from "./managed-servers.js";
import { type Pin, pinOf } from "./pin.js";
import { goesBack, planRollout, type RolloutFacts, type RolloutStep, type Room, versionToStart } from "./rollout.js";
import type { RolloutMemories } from "./rollout-memories.js";
import type { RolloutObserver, RolloutOutcome, RolloutState } from "./rollout-state.js";
import { freeSlot } from "./server-slot.js";

export interface RolloutsOptions {
  readonly servers: ManagedServers;
  readonly memories: RolloutMemories;
  /** The version that a model's reference means now; null for other models. @throws StartRefused where it means none */
  readonly pin: (model: ManagedModel) => Pin | null;
  /** Whether a version is still there. */
  readonly isThere: (version: Pin) => boolean;
  readonly isTraining: (name: string) => boolean;
  /** For a server of this model in a place of its own. */
  readonly roomFor: (managed: Managed, slot: number) => Room;
  readonly observer: RolloutObserver;
  /** What is shown of a rollout has changed. */
  readonly onChange: () => void;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** While anything waits it is looked again this often: not every change is told. */
const LOOK_MS = 1_000;
/** A start that takes the place of a stopped server waits for its turn as long as any. */
const START_WAIT_MS = 86_400_000;

export class Rollouts {
  readonly #options: RolloutsOptions;
  /** Models whose servers are being changed now. */
  readonly #busy = new Set<string>();
  /** No training may be sent to them. */
  readonly #changing = new Set<string>();
  /** Why nothing happens yet. */
  readonly #waits = new Map<string, string>();
  #cancelTimer: () => void = () => {};
  #isOpen = false;
  #isLooking = false;

  constructor(options: RolloutsOptions) {
    this.#options = options;
  }

  /** To be called once the trainings of an earlier sidecar are followed again. */
  start(): void {
    this.#isOpen = true;
    this.look();
  }

  close(): void {
    this.#isOpen = false;
    this.#cancelTimer();
  }

  isChanging(name: string): boolean {
    const present = this.#options.servers.get(name);
    return this.#changing.has(name) || (present !== undefined && !this.#isRemembered(present));
  }

  /** Whether a crash at this moment would be followed by a start that finds the present server in its place. */
  #isRemembered({ server: { name }, slot }: Managed): boolean {
    return this.#options.memories.get(name).slot === slot;
  }

  /** The version that a start of it takes; null for models of other schemes. @throws StartRefused */
  pin(model: ManagedModel): Pin | null {
    const pinned = this.#options.pin(model);
    if (model.follow === null || pinned === null) return pinned;
    return pinOf(versionToStart(this.#versionsOf(model, pinned)));
  }

  /** A start has failed for good. @returns whether the last good version is started in its place */
  startFailed({ server, model, uri, isAdmitted }: Managed, why: string): boolean {
    if (model.follow === null || uri === null || !isAdmitted) return false;
    if (!goesBack(uri, this.#versionsOf(model, this.#wantedBy(model)))) return false;
    this.#giveUp(server.name, uri, why);
    return true;
  }

  /** The present server has become ready. */
  ready({ server: { name }, model, uri }: Managed): void {
    const { memories } = this.#options;
    const { keptUri, failedUri } = memories.get(name);
    if (model.follow === null || uri === null || uri === keptUri) return;
    memories.keep(name, { keptUri: uri, ...(failedUri === uri ? { failedUri: null, problem: null } : {}) });
  }

  /** An operator asks for the version that was given up. */
  retry(name: string): void {
    this.#forgive(name);
    this.look();
  }

  state(name: string): RolloutState | null {
    const { servers, memories } = this.#options;
    const managed = servers.get(name);
    const model = managed?.next ?? null;
    if (managed === undefined || model === null || model.follow === null) return null;
    const wanted = this.#wantedBy(model)?.modelUri ?? null;
    const { failedUri, problem } = memories.get(name);
    const waits = this.#waits.get(name) ?? null;
    const hasFailed = wanted !== null && wanted === failedUri;
    return {
      follows: model.follow,
      wanted,
      phase:
        waits !== null ? "waiting" : servers.beside(name) !== undefined ? "starting" : hasFailed ? "failed" : "settled",
      problem: waits ?? (hasFailed ? problem : null),
      formerServers: servers.formers.of(name).length,
    };
  }

  /** To be called when a server, a hold, the definitions or the registry have changed. Cheap where nothing is followed. */
  look(): void {
    if (!this.#isOpen || this.#isLooking) return;
    this.#isLooking = true;
    this.#cancelTimer();
    for (const managed of this.#options.servers.all) if (this.#concerns(managed)) this.#lookAt(managed);
    this.#isLooking = false;
    if (this.#waits.size > 0) this.#cancelTimer = this.#options.clock.after(LOOK_MS, () => this.look());
  }

  #concerns({ server: { name }, next }: Managed): boolean {
    if ((next?.follow ?? null) !== null || this.#options.servers.beside(name) !== undefined) return true;
    this.#waits.delete(name);
    return false;
  }

  #lookAt(managed: Managed): void {
    const { name } = managed.server;
    if (this.#busy.has(name) || this.#options.servers.isStopping(name)) return;
    if (!this.#isRemembered(managed)) {
      this.#alone(name, () => this.#options.memories.put(name, { slot: managed.slot }));
      return;
    }
    const facts = this.#facts(managed);
    if (facts.wanted !== null && facts.failed !== null && facts.wanted !== facts.failed) this.#forgive(name);
    this.#take(managed, planRollout(facts));
  }

  #facts(managed: Managed): RolloutFacts {
    const { servers, memories, isTraining, roomFor } = this.#options;
    const { server, next, uri } = managed;
    const { name } = server;
    const beside = servers.beside(name);
    const wanted = next === null ? null : (this.#wantedBy(next)?.modelUri ?? null);
    const isDue = beside === undefined && wanted !== null && wanted !== uri;
    const slot = isDue ? freeSlot(servers.slots(name)) : null;
    const noSlot: Room = { kind: "later", why: "its former servers are still in use" };
    const room = !isDue || server.state === "absent" ? noSlot : slot === null ? noSlot : roomFor(managed, slot);
    return {
      wanted,
      failed: memories.get(name).failedUri,
      current: { state: server.state, uri },
      candidate:
        beside === undefined
          ? null
          : { uri: beside.uri!, state: beside.server.state, problem: beside.server.entry.problem },
      isTraining: isTraining(name),
      isHeld: room.kind === "alone" && server.isHeld,
      room,
    };
  }

  #take(managed: Managed, step: RolloutStep): void {
    const { servers, logger } = this.#options;
    const { name } = managed.server;
    if (step.do === "wait") this.#waits.set(name, step.why);
    else this.#waits.delete(name);
    switch (step.do) {
      case "rest":
      case "wait":
        return;
      case "start":
        logger.info({ event: "rollout_started", model: name, version: step.uri }, "a new version is started beside");
        failpoint("rollout.before_start");
        servers.startBeside(name, pinOf(step.uri)!, freeSlot(servers.slots(name))!);
        return;
      case "switch":
        this.#alone(name, () => this.#switch(name));
        return;
      case "stop-first":
        logger.info(
          { event: "rollout_started", model: name, version: step.uri },
          "a new version replaces a stopped one",
        );
        this.#alone(name, () => this.#stopFirst(name));
        return;
      case "abandon":
        this.#abandon(name, "superseded");
        return;
      case "give-up":
        // Turned away for want of room: that says nothing of the version.
        if (servers.beside(name)?.isAdmitted === true) this.#giveUp(name, step.uri, step.why);
        this.#abandon(name, "failed");
    }
  }

  #abandon(name: string, outcome: RolloutOutcome): void {
    this.#options.servers.abandon(name);
    this.#options.observer.rolledOut(name, outcome);
    this.#options.onChange();
  }

  #giveUp(name: string, uri: string, why: string): void {
    const { memories, logger } = this.#options;
    memories.keep(name, { failedUri: uri, problem: why });
    logger.error(
      { event: "rollout_failed", model: name, version: uri, reason: why },
      "a new version does not run; the one before serves on until another is there, or an operator starts it",
    );
  }

  #forgive(name: string): void {
    if (this.#options.memories.get(name).failedUri === null) return;
    this.#options.memories.keep(name, { failedUri: null, problem: null });
  }

  /** One change of a model's servers at a time. */
  #alone(name: string, change: () => Promise<void>): void {
    this.#busy.add(name);
    change()
      .catch((cause) => {
        this.#waits.set(name, "the last try has failed inside Sluice; it is tried again");
        this.#options.logger.error({ model: name, err: cause }, "a rollout cannot go on; it is tried again");
      })
      .finally(() => {
        this.#busy.delete(name);
        this.#changing.delete(name);
        this.#later();
      });
  }

  /** Not at once: what has failed would fail as fast as it can. */
  #later(): void {
    this.#cancelTimer();
    if (this.#isOpen)
      this.#cancelTimer = this.#options.clock.after(this.#waits.size > 0 ? LOOK_MS : 1, () => this.look());
  }

  async #switch(name: string): Promise<void> {
    const { servers, memories, observer, logger } = this.#options;
    const beside = servers.beside(name)!;
    const former = servers.get(name)!;
    failpoint("rollout.after_ready");
    this.#changing.add(name);
    // Nothing is at work on one that is down, and whoever comes now must not start it again: written down afterwards.
    if (former.server.state === "ready" || former.server.state === "unreachable") {
      await memories.put(name, { slot: beside.slot });
      failpoint("rollout.after_commit");
      const present = servers.get(name);
      const isStill = servers.beside(name) === beside && present === former && !servers.isStopping(name);
      if (!isStill || planRollout(this.#facts(present)).do !== "switch") return;
    }
    servers.switch(name);
    failpoint("rollout.after_switch");
    observer.rolledOut(name, "switched");
    const { server, uri } = servers.get(name)!;
    if (server.state === "ready") this.ready(servers.get(name)!);
    logger.info({ event: "rolled_out", model: name, version: uri, before: former.uri }, "a new version serves");
  }

  async #stopFirst(name: string): Promise<void> {
    const { servers, observer, onChange } = this.#options;
    if ((await servers.stopWhenIdle(name, 0)) === "held") return;
    failpoint("rollout.after_stop");
    const managed = servers.get(name);
    if (managed === undefined || !this.#isOpen) return;
    const tried = this.#wantedBy(managed.model)?.modelUri ?? null;
    onChange();
    await managed.server.ensureReady(START_WAIT_MS).then(
      () => observer.rolledOut(name, servers.get(name)?.uri === tried ? "switched" : "failed"),
      () => observer.rolledOut(name, "failed"),
    );
  }

  #versionsOf({ name }: ManagedModel, wanted: Pin | null) {
    const { memories, isThere } = this.#options;
    const { keptUri, failedUri } = memories.get(name);
    const kept = pinOf(keptUri);
    const isUsable = kept !== null && kept.modelId === wanted?.modelId && isThere(kept);
    return { wanted: wanted?.modelUri ?? null, failed: failedUri, kept: isUsable ? keptUri : null };
  }

  #wantedBy(model: ManagedModel): Pin | null {
    try {
      return model.follow === null ? null : this.#options.pin(model);
    } catch {
      // A start says why in words; here it only means that nothing is to be rolled out.
      return null;
    }
  }
}
