/** `sluice serve` with the stand-in children of parts.ts; STAND_IN_START_TIMEOUT_MS bounds their start. */
import { fileURLToPath } from "node:url";
import { ACTIONS } from "../../../cli/actions.js";
import { CliError } from "../../../cli/exit.js";
import { type Actions, createProgram } from "../../../cli/program.js";
import { serve } from "../../../cli/serve.js";

const startTimeoutMs = Number(process.env.STAND_IN_START_TIMEOUT_MS ?? "20000");
try {
  const exec = fileURLToPath(new URL("./parts.js", import.meta.url));
  const actions: Actions = {
    ...ACTIONS,
    async serve(flags) {
      process.exitCode = await serve(flags, { exec, startTimeoutMs });
    },
  };
  await createProgram(actions, "0.0.0").parseAsync();
} catch (caught) {
  process.stderr.write(`${caught instanceof CliError ? `${caught.message}\n${caught.hint}` : caught}\n`);
  process.exitCode = caught instanceof CliError ? caught.exitCode : 1;
}
