/**
 * Named places where a test can make a durable step fail: `failpoint("insert.before_commit")`.
 *
 * Inert unless armed: one comparison. `cli/` arms them from `SLUICE_FAILPOINTS`, e.g.
 * `insert.before_commit=kill@3,blob.after_rename=throw:ENOSPC`. Actions: `kill` (SIGKILL to this very process), `throw:CODE` (an
 * error with that `code`), `delay:ms` (blocks the thread: a disk that hangs). `@n` means the n-th pass alone, else every pass.
 * The names are in `failpoint-list.ts`.
 */

type Action =
  | { readonly kind: "kill" }
  | { readonly kind: "throw"; readonly code: string }
  | { readonly kind: "delay"; readonly delayMs: number };

interface Armed {
  readonly action: Action;
  /** The only pass that acts, or null for every pass. */
  readonly pass: number | null;
  passes: number;
}

let armed: Map<string, Armed> | null = null;
let armedSpec: string | null = null;

/** Acts when this place is armed; otherwise returns at once. */
export function failpoint(name: string): void {
  if (armed !== null) act(name, armed);
}

/**
 * Arms the places a spec names, in place of what was armed before; null disarms all.
 * Threads have places of their own: whoever starts one hands {@link failpointSpec} on.
 * @throws Error when the spec cannot be read
 */
export function armFailpoints(spec: string | null): void {
  armed = spec === null ? null : parse(spec);
  armedSpec = spec;
}

export function failpointSpec(): string | null {
  return armedSpec;
}

function parse(spec: string): Map<string, Armed> {
  const places = new Map<string, Armed>();
  for (const part of spec.split(",")) {
    const match = /^([a-z_.-]+)=(?:(kill)|throw:([A-Z_]+)|delay:(\d+))(?:@(\d+))?$/.exec(part.trim());
    if (match === null) throw new Error(`failpoint '${part}' is not <name>=kill|throw:CODE|delay:ms[@n]`);
    const [, name, kill, code, delayMs, pass] = match;
    const action: Action =
      kill !== undefined
        ? { kind: "kill" }
        : code !== undefined
          ? { kind: "throw", code }
          : { kind: "delay", delayMs: Number(delayMs) };
    places.set(name!, { action, pass: pass === undefined ? null : Number(pass), passes: 0 });
  }
  return places;
}

/** Under this name a test hears, from any thread, which place acted (and `armed`). */
export const FAILPOINT_CHANNEL = "sluice.failpoints";
/** Under this name a test arms the threads that {@link followArming}. */
export const ARMING_CHANNEL = "sluice.failpoints.arm";

/** A thread that was armed at its start takes over what a test arms later; another one stays as it is. */
export function followArming(): void {
  if (armed === null) return;
  const channel = new BroadcastChannel(ARMING_CHANNEL);
  channel.onmessage = (message) => {
    armFailpoints((message as { data: string }).data);
    tell("armed");
  };
  channel.unref();
}

function tell(name: string): void {
  const channel = new BroadcastChannel(FAILPOINT_CHANNEL);
  channel.postMessage(name);
  channel.close();
}

function act(name: string, places: Map<string, Armed>): void {
  const place = places.get(name);
  if (place === undefined) return;
  place.passes += 1;
  if (place.pass !== null && place.passes !== place.pass) return;
  tell(name);
  const { action } = place;
  if (action.kind === "kill") {
    process.kill(process.pid, "SIGKILL");
    // The signal is asynchronous: not one more step may run.
    for (;;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  }
  if (action.kind === "delay") {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, action.delayMs);
    return;
  }
  throw Object.assign(new Error(`failpoint ${name}`), { code: action.code });
}
