/** `sluice serve` that believes a sidecar to hang after SILENCE_MS instead of 30 s. */
import { ACTIONS } from "../../../cli/actions.js";
import { createProgram } from "../../../cli/program.js";
import { serve } from "../../../cli/serve.js";

const silenceMs = Number(process.env.SILENCE_MS);
const actions = {
  ...ACTIONS,
  async serve(flags: Parameters<typeof ACTIONS.serve>[0]) {
    process.exitCode = await serve(flags, { silenceMs });
  },
};
await createProgram(actions, "0.0.0").parseAsync();
