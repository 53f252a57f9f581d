/**
 * A simulated model server, as one meets them: slow, failing, deaf, dying. It knows nothing of Sluice; it answers what it is sent, starts
 * and ends runs, and writes down what it really did.
 */
import type { Heard } from "./log-entry.js";
import type { PlannedModel } from "./plan.js";
import type { World } from "./world.js";

export interface Reply {
  readonly how: Heard;
  readonly status: number;
  readonly text: string;
  readonly retryAfterS: number | null;
  /** Called when it has reached who asked. */
  readonly onHeard?: () => void;
}

/** A request on a connection; it is answered at most once. */
export interface Request {
  readonly answer: (reply: Reply) => void;
}

export interface TaskRequest extends Request {
  readonly call: number;
  /** The run's name where it is a training, else null. */
  readonly runName: string | null;
  readonly bytes: number;
}

interface Run {
  readonly id: string;
  readonly name: string;
  readonly startedAtMs: number;
  /** Somebody trains there past us: nothing of it is told. */
  readonly isStrange: boolean;
  endedAtMs: number | null;
  status: "RUNNING" | "FINISHED" | "FAILED" | "KILLED";
}

type Bad = "slow" | "never" | "cut" | "cut-late" | "protocol" | 400 | 408 | 429 | 500 | 502 | 503;
const BAD: readonly Bad[] = ["slow", "never", "cut", "cut-late", "protocol", 400, 408, 429, 429, 500, 502, 503];

export class SimulatedServer {
  readonly name: string;
  readonly url: string;
  readonly planned: PlannedModel;
  /** Told once when its present life ends. */
  onExit: ((cause: string) => void) | null = null;
  /** The next start goes wrong. */
  isNextStartBad = false;
  /** Somebody has heard from it that it is ready, in its present life. */
  wasReady = false;
  readonly #world: World;
  readonly #open = new Set<Request>();
  readonly #runs = new Map<string, Run>();
  /** What it will do when it can be reached again. */
  #unheard: (() => void)[] = [];
  #state: "down" | "warming" | "up" = "down";
  #deafUntilMs = 0;
  #active: Run | null = null;
  /** Grows with each life: what an earlier one had in mind does not happen. */
  #life = 0;

  constructor(world: World, planned: PlannedModel) {
    this.#world = world;
    this.planned = planned;
    this.name = planned.name;
    this.url = `http://${planned.name}.test`;
    if (planned.kind === "static") this.#state = "up";
  }

  get isDown(): boolean {
    return this.#state === "down";
  }

  /** @param neverReady its program runs, and never answers that it is ready */
  start(neverReady = false): void {
    this.#life += 1;
    this.#state = "warming";
    this.wasReady = false;
    this.#unheard = [];
    if (neverReady) return;
    this.#later(this.planned.warmUpMs, () => {
      this.#state = "up";
      this.#world.tell({ type: "server-up", model: this.name });
    });
  }

  die(cause: string): void {
    if (this.#state === "down") return;
    this.#life += 1;
    this.#state = "down";
    this.#unheard = [];
    this.#world.tell({ type: "server-down", model: this.name });
    if (this.#active !== null) this.#tellEnd(this.#active, "died");
    this.#active = null;
    this.#runs.clear();
    for (const request of [...this.#open]) this.#answer(request, plain("cut"));
    const { onExit } = this;
    this.onExit = null;
    onExit?.(cause);
  }

  deafen(forMs: number): void {
    this.#deafUntilMs = Math.max(this.#deafUntilMs, this.#world.clock.elapsed() + forMs);
    this.#world.clock.after(forMs, () => this.#listen());
  }

  heal(): void {
    this.#deafUntilMs = 0;
    this.isNextStartBad = false;
    this.#listen();
  }

  health(path: string, request: Request): void {
    this.#meet(request, () => {
      const life = this.#life;
      const onHeard = () => {
        if (path === "/readyz" && this.#state === "up" && life === this.#life) this.wasReady = true;
      };
      this.#answer(request, this.#state === "up" ? { ...status(200), onHeard } : status(503));
    });
  }

  runInfo(name: string, request: Request): void {
    this.#meet(request, () => {
      const run = this.#runs.get(name);
      if (run === undefined) return this.#answer(request, status(404));
      const tags = run.status === "FAILED" ? { exception: "E" } : {};
      const info = { run_id: run.id, run_name: name, experiment_id: "1", status: run.status, tags };
      const times = { start_time: run.startedAtMs, end_time: run.endedAtMs };
      this.#answer(request, { ...status(200), text: JSON.stringify([{ ...info, ...times }]) });
    });
  }

  cancelRun(request: Request): void {
    this.#meet(request, () => {
      const run = this.#active;
      if (run !== null) {
        if (!run.isStrange) this.#world.tell({ type: "run-cancelled", run: run.id });
        this.#later(this.#world.random.whole(10, 3_000), () => this.#end(run, "KILLED"));
      }
      this.#answer(request, status(run === null ? 404 : 202));
    });
  }

  metrics(request: Request): void {
    this.#meet(request, () => this.#answer(request, { ...status(200), text: "[{}]" }));
  }

  take(request: TaskRequest): void {
    this.#meet(request, () => {
      if (request.runName === null) this.#infer(request);
      else this.#train(request, request.runName);
    });
  }

  /** A request reaches the port; what it asks for is done when the server can attend to it, whether or not its caller still waits. */
  #meet(request: Request, attend: () => void): void {
    if (this.#state === "down") {
      request.answer(plain("refused"));
      return;
    }
    this.#open.add(request);
    if (this.#canHear()) attend();
    else this.#unheard.push(attend);
  }

  #canHear(): boolean {
    const isBlocked = this.planned.blocksInTraining && this.#active !== null;
    return !isBlocked && this.#world.clock.elapsed() >= this.#deafUntilMs;
  }

  #listen(): void {
    while (this.#canHear() && this.#unheard.length > 0) this.#unheard.shift()!();
  }

  #infer(request: TaskRequest): void {
    const { random } = this.#world;
    const bad = this.#draw();
    const workMs = bad === "slow" ? random.whole(5_000, 40_000) : random.whole(5, 2_000);
    if (bad === "cut") {
      this.#later(workMs / 2, () => this.#answer(request, plain("cut")));
      return;
    }
    if (bad === "never") return;
    this.#later(workMs, () => {
      const text = `answer ${request.call}`.padEnd(request.bytes, ".");
      if (bad === "protocol") return this.#answer(request, plain("protocol"));
      if (typeof bad === "number") return this.#refuse(request, bad);
      this.#world.tell({ type: "served", call: request.call, status: 200, text });
      this.#answer(request, bad === "cut-late" ? plain("cut") : { ...status(200), text });
    });
  }

  #train(request: TaskRequest, name: string): void {
    const { random } = this.#world;
    if (this.#active !== null) {
      const text = JSON.stringify({ experiment_id: "1", run_id: this.#active.id });
      this.#world.tell({ type: "served", call: request.call, status: 503, text });
      this.#answer(request, { ...status(503), how: "busy", text });
      return;
    }
    const bad = this.#draw();
    const isTaken = bad === null || bad === "cut-late" || bad === "slow" || (bad === "never" && random.chance(0.5));
    if (bad === "cut" || bad === "protocol") {
      this.#later(50, () => this.#answer(request, plain(bad)));
      return;
    }
    if (typeof bad === "number") {
      this.#later(20, () => this.#refuse(request, bad));
      return;
    }
    if (!isTaken) return;
    const run = this.#begin(request.call, name);
    if (bad === "never") return;
    const text = JSON.stringify({ experiment_id: "1", run_id: run.id });
    this.#world.tell({ type: "served", call: request.call, status: 202, text });
    this.#later(bad === "slow" ? 3_000 : 20, () =>
      this.#answer(request, bad === "cut-late" ? plain("cut") : { ...status(202), text }),
    );
  }

  /** A client trains at the server itself, past us. */
  trainForAnother(): void {
    if (this.#state !== "up" || this.#active !== null || !this.#canHear()) return;
    const { random, clock } = this.#world;
    const run: Run = { ...blank(clock.now()), id: "run-strange", name: "strange", isStrange: true };
    this.#active = run;
    this.#later(random.pick([2_000, 20_000, 60_000]), () => this.#end(run, "FINISHED"));
  }

  #begin(call: number, name: string): Run {
    const { random, clock } = this.#world;
    const run: Run = { ...blank(clock.now()), id: `run-${call}`, name, isStrange: false };
    this.#runs.set(name, run);
    this.#active = run;
    this.#world.tell({ type: "run-accepted", run: run.id, call, model: this.name });
    const how = random.chance(this.#world.isHealed ? 0 : 0.2) ? "FAILED" : "FINISHED";
    const spanMs = random.chance(0.03) ? 250_000 : random.pick([300, 2_000, 10_000]);
    this.#later(spanMs * (0.5 + random.next()), () => this.#end(run, how));
    return run;
  }

  #end(run: Run, how: "FINISHED" | "FAILED" | "KILLED"): void {
    if (run.status !== "RUNNING") return;
    run.status = how;
    run.endedAtMs = this.#world.clock.now();
    if (this.#active === run) this.#active = null;
    this.#tellEnd(run, how);
    this.#listen();
  }

  #tellEnd({ id, isStrange }: Run, how: "FINISHED" | "FAILED" | "KILLED" | "died"): void {
    if (!isStrange) this.#world.tell({ type: "run-ended", run: id, how });
  }

  #draw(): Bad | null {
    const { random, isHealed } = this.#world;
    return !isHealed && random.chance(this.planned.badness) ? random.pick(BAD) : null;
  }

  #refuse(request: TaskRequest, code: number): void {
    const { random } = this.#world;
    this.#world.tell({ type: "served", call: request.call, status: code, text: "no" });
    const retryAfterS = code === 429 && random.chance(0.5) ? random.whole(1, 30) : null;
    this.#answer(request, { ...status(code), text: "no", retryAfterS });
  }

  #answer(request: Request, reply: Reply): void {
    if (this.#open.delete(request)) request.answer(reply);
  }

  #later(delayMs: number, action: () => void): void {
    const life = this.#life;
    this.#world.clock.after(delayMs, () => {
      if (life === this.#life) action();
    });
  }
}

function blank(startedAtMs: number): Pick<Run, "startedAtMs" | "endedAtMs" | "status"> {
  return { startedAtMs, endedAtMs: null, status: "RUNNING" };
}

function status(code: number): Reply {
  return { how: "answer", status: code, text: "", retryAfterS: null };
}

function plain(how: Heard): Reply {
  return { how, status: 0, text: "", retryAfterS: null };
}
