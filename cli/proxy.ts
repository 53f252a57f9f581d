/** `sluice proxy`: one proxy process, under `sluice serve` or alone. */
import { socketPathOf } from "../config/load.js";
import { createLogger } from "../core/runtime/logger.js";
import { runProxy } from "../proxy/main.js";
import { configFromSupervisor, ignoreTerminalSignals, isSupervised, runChild } from "./child.js";
import { type GlobalFlags, loadConfiguration } from "./global-flags.js";

export function proxy(flags: GlobalFlags): Promise<void> {
  return runChild(async () => {
    if (isSupervised()) ignoreTerminalSignals(["SIGINT", "SIGHUP"]);
    const config = isSupervised() ? await configFromSupervisor() : (await loadConfiguration(flags)).config;
    // The supervisor's configuration may say port 0; the flag names the one that was taken.
    const listening = flags.port === undefined ? config : { ...config, proxy: { ...config.proxy, port: flags.port } };
    await runProxy({
      config: listening,
      logger: createLogger({ ...config.log, process: "proxy" }),
      socketPath: socketPathOf(config),
    });
  });
}
