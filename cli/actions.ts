/** Each subcommand's work, loaded only when it is asked for: `sluice config check` must run where the database cannot. */
import type { Actions } from "./program.js";

export const ACTIONS: Actions = {
  async serve(flags) {
    const { serve } = await import("./serve.js");
    process.exitCode = await serve(flags);
  },
  async proxy(flags) {
    const { proxy } = await import("./proxy.js");
    await proxy(flags);
  },
  async sidecar(flags) {
    const { sidecar } = await import("./sidecar.js");
    await sidecar(flags);
  },
  async models(flags) {
    const { listModels } = await import("./models.js");
    await listModels(flags);
  },
  async listTasks(flags) {
    const { listTasks } = await import("./list-tasks.js");
    await listTasks(flags);
  },
  async showTask(id, flags) {
    const { printTask } = await import("./tasks.js");
    await printTask(id, flags);
  },
  async explainTask(id, flags) {
    const { explainTask } = await import("./tasks.js");
    await explainTask(id, flags);
  },
  async waitForTask(id, flags) {
    const { awaitTask } = await import("./tasks.js");
    await awaitTask(id, flags);
  },
  async cancelTask(id, flags) {
    const { cancelTask } = await import("./tasks.js");
    await cancelTask(id, flags);
  },
  async submit(submission) {
    const { submit } = await import("./submit.js");
    await submit(submission);
  },
};
