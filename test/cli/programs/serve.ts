/** `sluice serve` with the stand-in children of parts.ts; STAND_IN_START_TIMEOUT_MS bounds their start. */
import { fileURLToPath } from "node:url";
import { CliError } from "../../../cli/exit.js";
import { createProgram } from "../../../cli/program.js";
import { serve } from "../../../cli/serve.js";

const startTimeoutMs = Number(process.env.STAND_IN_START_TIMEOUT_MS ?? "20000");
try {
  await createProgram(async (_subcommand, { flags }) => {
    const exec = fileURLToPath(new URL("./parts.js", import.meta.url));
    process.exitCode = await serve(flags, { exec, startTimeoutMs });
  }, "0.0.0").parseAsync();
} catch (caught) {
  process.stderr.write(`${caught instanceof CliError ? `${caught.message}\n${caught.hint}` : caught}\n`);
  process.exitCode = caught instanceof CliError ? caught.exitCode : 1;
}
