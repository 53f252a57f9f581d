/** `sluice proxy`: one proxy process, under `sluice serve` or alone. */
import { socketPathOf } from "../config/load.js";
import { armFailpoints } from "../core/runtime/failpoints.js";
import { runProxy } from "../proxy/main.js";
import { configFromSupervisor, ignoreTerminalSignals, isSupervised, runChild } from "./child.js";
import { type GlobalFlags, loadConfiguration } from "./global-flags.js";

export function proxy(flags: GlobalFlags): Promise<void> {
  return runChild(async () => {
    armFailpoints(process.env.SLUICE_FAILPOINTS ?? null);
    if (isSupervised()) ignoreTerminalSignals(["SIGINT", "SIGHUP"]);
    const config = isSupervised() ? (await configFromSupervisor()).config : loadConfiguration(flags).config;
    // The supervisor's configuration may say port 0; the flag names the one that was taken.
    const listening = flags.port === undefined ? config : { ...config, proxy: { ...config.proxy, port: flags.port } };
    await runProxy({ config: listening, socketPath: socketPathOf(config) });
    if (isSupervised()) ignoreTerminalSignals(["SIGINT"]);
  });
}
