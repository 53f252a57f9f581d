/** What `sluice proxy` and `sluice sidecar` share: the configuration from the supervisor when there is one, and a clear word when they cannot start. */
import { type ConfigMessage, type FailedMessage, type HelloMessage, SUPERVISED_VARIABLE } from "./ipc.js";

const GREETING_TIMEOUT_MS = 10_000;

export function isSupervised(): boolean {
  return process.env[SUPERVISED_VARIABLE] === "1" && process.send !== undefined;
}

/**
 * Leaves the terminal's signals to the supervisor: Ctrl-C and a closed terminal reach the whole process group, but the supervisor decides
 * who stops when. Called again once the part runs, because alone it would drain on Ctrl-C, and twice is "at once".
 */
export function ignoreTerminalSignals(signals: readonly NodeJS.Signals[]): void {
  for (const signal of signals) {
    process.removeAllListeners(signal);
    process.on(signal, () => undefined);
  }
}

/** Asks the supervisor what to begin with. */
export function configFromSupervisor(): Promise<Omit<ConfigMessage, "type">> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("the supervisor sent no configuration")), GREETING_TIMEOUT_MS);
    process.once("message", (message: ConfigMessage) => {
      clearTimeout(timer);
      resolve(message);
    });
    const hello: HelloMessage = { type: "hello" };
    process.send?.(hello);
  });
}

/** Runs a child's main; when it throws, the supervisor learns why before the process ends with 1. */
export async function runChild(main: () => Promise<void>): Promise<void> {
  try {
    await main();
  } catch (caught) {
    if (!isSupervised()) throw caught;
    const { code, message } = describe(caught);
    await new Promise<void>((sent) => {
      const failed: FailedMessage = { type: "failed", code, message };
      process.send?.(failed, undefined, {}, () => sent());
    });
    process.exit(1);
  }
}

function describe(caught: unknown): { code: string | null; message: string } {
  if (!(caught instanceof Error)) return { code: null, message: String(caught) };
  const { code } = caught as { code?: unknown };
  return { code: typeof code === "string" ? code : null, message: caught.message };
}
