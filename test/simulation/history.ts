/** One history: what its seed planned, let happen in a simulated world, from the first task until everything is final. */
import type { LogEntry } from "./log-entry.js";
import { SimulatedServer } from "./model-server.js";
import { type Fault, makePlan, type Plan } from "./plan.js";
import { Random } from "./random.js";
import { SidecarRun } from "./sidecar-run.js";
import { World } from "./world.js";

export interface History {
  readonly plan: Plan;
  readonly log: readonly LogEntry[];
}

/** In a healed world everything is final within this, a training's longest run, its back-offs and all waits for answers included. */
const PATIENCE_MS = 1_800_000;
/** A stop waits this long for what runs. */
const GRACE_MS = 10_000;

/** Runs to its end at once. Call it from `inMacrotask`. */
export function runHistory(seed: number, onError: World["onError"] = null): History {
  const plan = makePlan(new Random(seed), seed);
  const world = new World(plan, seed);
  world.onError = onError;
  const { random } = Math;
  // The back-off's jitter is the scheduler's only chance.
  Math.random = () => world.random.next();
  try {
    new Theatre(world).play();
  } finally {
    Math.random = random;
  }
  return { plan, log: world.log };
}

class Theatre {
  readonly #world: World;
  readonly #servers: ReadonlyMap<string, SimulatedServer>;
  readonly #vanished = new Set<string>();
  #sidecar: SidecarRun | null = null;
  #isStarting = false;

  constructor(world: World) {
    this.#world = world;
    this.#servers = new Map(world.plan.models.map((each) => [`${each.name}.test`, new SimulatedServer(world, each)]));
  }

  play(): void {
    const { clock, plan } = this.#world;
    const { models, maxConcurrentTasks, ageingMs, weights } = plan;
    this.#world.tell({ type: "world", facts: { models, maxConcurrentTasks, ageingMs, weights } });
    this.#begin("start");
    for (const [at, task] of plan.tasks.entries()) clock.after(task.atMs, () => this.#submit(`t${at}`, at));
    for (const fault of plan.faults) clock.after(fault.atMs, () => this.#suffer(fault));
    clock.after(plan.healedAtMs, () => this.#heal());
    // A submission may still be on its way to the disk.
    clock.run(plan.healedAtMs + 3_000, () => false);
    clock.run(plan.healedAtMs + PATIENCE_MS, () => this.#isAllFinal());
    // What comes late comes soon after. That nobody waits any more is seen at the next look, every 5 s, or when a busy trainer's pause ends.
    clock.run(clock.elapsed() + 100, () => false);
    clock.run(clock.elapsed() + 100_000, () => this.#sidecar?.catalogue.isHeld !== true);
    this.#world.tell({ type: "end" });
    this.#sidecar?.process.kill();
  }

  #isAllFinal(): boolean {
    for (const { task } of this.#world.tables.rows.values()) if (task.finishedAtMs === null) return false;
    return true;
  }

  #begin(type: "start" | "handover"): void {
    this.#isStarting = false;
    this.#world.tell({ type });
    this.#sidecar = new SidecarRun(this.#world, this.#servers, this.#vanished);
    void this.#sidecar.start(type === "start");
  }

  #beginAfter(downMs: number): void {
    this.#sidecar = null;
    this.#isStarting = true;
    this.#world.clock.after(downMs, () => this.#begin("start"));
  }

  #submit(uuid: string, at: number): void {
    const planned = this.#world.plan.tasks[at]!;
    const { model, tenant, mode } = planned;
    const training = planned.task === "train_supervised";
    const told = { model, training, held: mode === "held", class: planned.class, tenant };
    this.#world.tell({ type: "submitted", task: uuid, ...told });
    const sidecar = this.#sidecar;
    sidecar?.process.deliver(() => void sidecar.submit(uuid, planned));
  }

  #heal(): void {
    this.#world.isHealed = true;
    this.#world.diskFault = null;
    this.#world.tell({ type: "healed" });
    for (const server of this.#servers.values()) {
      server.heal();
      if (server.planned.kind === "static" && server.isDown) server.start();
    }
    for (const name of [...this.#vanished]) this.#appear(name);
    this.#sidecar?.process.resume();
  }

  #suffer(fault: Fault): void {
    const sidecar = this.#sidecar;
    switch (fault.kind) {
      case "crash":
        if (sidecar !== null) this.#crash(sidecar, fault.downMs);
        return;
      case "stop":
        if (sidecar !== null) sidecar.process.deliver(() => this.#stop(sidecar, fault.downMs));
        return;
      case "handover":
        if (sidecar !== null) sidecar.process.deliver(() => this.#handOver(sidecar));
        return;
      case "pause":
        if (sidecar !== null) this.#pause(sidecar, fault.forMs);
        return;
      case "jump":
        this.#world.clock.jump(fault.byMs);
        this.#world.tell({ type: "jump", byMs: fault.byMs });
        return;
      case "disk":
        this.#breakDisk(fault.code, fault.forMs);
        return;
      case "cancel":
        sidecar?.process.deliver(() => void sidecar.cancel(`t${fault.task}`));
        return;
      case "damage":
        this.#damage(`t${fault.task}`);
        return;
      default:
        this.#sufferServer(fault);
        return;
    }
  }

  #sufferServer(fault: Extract<Fault, { model: string }>): void {
    const server = this.#servers.get(`${fault.model}.test`)!;
    switch (fault.kind) {
      case "die":
        server.die("was killed by SIGKILL");
        if (server.planned.kind === "static")
          this.#world.clock.after(fault.downMs, () => server.isDown && server.start());
        return;
      case "deaf":
        server.deafen(fault.forMs);
        return;
      case "stranger":
        server.trainForAnother();
        return;
      case "bad-start":
        server.isNextStartBad = true;
        return;
      case "drain": {
        const sidecar = this.#sidecar;
        sidecar?.process.deliver(() => sidecar.catalogue.drain(fault.model));
        return;
      }
      case "vanish":
        this.#vanished.add(fault.model);
        this.#world.tell({ type: "vanished", model: fault.model });
        this.#reach((sidecar) => sidecar.catalogue.vanish(fault.model));
        this.#world.clock.after(fault.forMs, () => this.#appear(fault.model));
    }
  }

  #appear(name: string): void {
    if (!this.#vanished.delete(name)) return;
    this.#world.tell({ type: "appeared", model: name });
    this.#reach((sidecar) => sidecar.catalogue.appear(this.#servers.get(`${name}.test`)!));
  }

  #reach(action: (sidecar: SidecarRun) => void): void {
    const sidecar = this.#sidecar;
    sidecar?.process.deliver(() => action(sidecar));
  }

  #crash(sidecar: SidecarRun, downMs: number): void {
    sidecar.process.kill();
    this.#world.tell({ type: "crash" });
    this.#beginAfter(downMs);
  }

  #stop(sidecar: SidecarRun, downMs: number): void {
    this.#world.tell({ type: "stopping" });
    void sidecar.stop(GRACE_MS).then(() => {
      sidecar.process.kill();
      this.#world.tell({ type: "stopped" });
      if (this.#sidecar === sidecar && !this.#isStarting) this.#beginAfter(downMs);
    });
  }

  /** A new process begins while the old one is still letting go: what the old one writes late must be refused. */
  #handOver(sidecar: SidecarRun): void {
    void sidecar.letGo(GRACE_MS).then(() => sidecar.process.kill());
    this.#begin("handover");
  }

  #pause(sidecar: SidecarRun, forMs: number): void {
    this.#world.tell({ type: "pause" });
    sidecar.process.pause();
    this.#world.clock.after(forMs, () => {
      if (!sidecar.process.isAlive) return;
      this.#world.tell({ type: "resume" });
      sidecar.process.resume();
    });
  }

  #breakDisk(code: "STORE_FAILED" | "DISK_FULL", forMs: number): void {
    this.#world.diskFault = code;
    this.#world.tell({ type: "disk-bad" });
    this.#world.clock.after(forMs, () => {
      this.#world.diskFault = null;
      this.#world.tell({ type: "disk-good" });
    });
  }

  #damage(uuid: string): void {
    const payload = this.#world.tables.rows.get(uuid)?.payload ?? null;
    if (payload?.kind !== "blob") return;
    this.#world.blobs.delete(payload.key);
    this.#world.tell({ type: "damaged", task: uuid });
  }
}
