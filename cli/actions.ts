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
  async serveRegistry(flags) {
    const { serveRegistry } = await import("./registry-serve.js");
    process.exitCode = await serveRegistry(flags);
  },
  async listModels(flags) {
    const { listModels } = await import("./models.js");
    await listModels(flags);
  },
  async showModel(name, flags) {
    const { showModel } = await import("./models.js");
    await showModel(name, flags);
  },
  async deployModel(name, flags) {
    const { deployModel } = await import("./change-models.js");
    await deployModel(name, flags);
  },
  async removeModel(name, flags) {
    const { removeModel } = await import("./change-models.js");
    await removeModel(name, flags);
  },
  async startModel(name, flags) {
    const { startModel } = await import("./change-models.js");
    await startModel(name, flags);
  },
  async stopModel(name, flags) {
    const { stopModel } = await import("./change-models.js");
    await stopModel(name, flags);
  },
  async printLogs(name, flags) {
    const { printLogs } = await import("./model-logs.js");
    await printLogs(name, flags);
  },
  async watchModels(name, flags) {
    const { watchModels } = await import("./watch-models.js");
    await watchModels(name, flags);
  },
  async listOnDemand(flags) {
    const { listOnDemand } = await import("./on-demand.js");
    await listOnDemand(flags);
  },
  async showOnDemand(name, flags) {
    const { showOnDemand } = await import("./on-demand.js");
    await showOnDemand(name, flags);
  },
  async listVersions(name, flags) {
    const { listVersions } = await import("./on-demand.js");
    await listVersions(name, flags);
  },
  async createOnDemand(name, flags) {
    const { createOnDemand } = await import("./change-on-demand.js");
    await createOnDemand(name, flags);
  },
  async updateOnDemand(name, flags) {
    const { updateOnDemand } = await import("./change-on-demand.js");
    await updateOnDemand(name, flags);
  },
  async disableOnDemand(name, flags) {
    const { disableOnDemand } = await import("./change-on-demand.js");
    await disableOnDemand(name, flags);
  },
  async enableOnDemand(id, flags) {
    const { enableOnDemand } = await import("./change-on-demand.js");
    await enableOnDemand(id, flags);
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
  async listRegistry(modelId, flags) {
    const { listRegistry } = await import("./list-registry.js");
    await listRegistry(modelId, flags);
  },
  async pushVersion(modelId, file, flags) {
    const { pushVersion } = await import("./registry-push.js");
    await pushVersion(modelId, file, flags);
  },
  async pullVersion(which, flags) {
    const { pullVersion } = await import("./registry-pull.js");
    await pullVersion(which, flags);
  },
  async changeAlias(change, flags) {
    const { changeAlias } = await import("./registry-alias.js");
    await changeAlias(change, flags);
  },
  async deleteFromRegistry(which, flags) {
    const { deleteFromRegistry } = await import("./registry-delete.js");
    await deleteFromRegistry(which, flags);
  },
  async verifyVersions(flags) {
    const { verifyVersions } = await import("./registry-verify.js");
    await verifyVersions(flags);
  },
  async importArchive(dir, flags) {
    const { importArchive } = await import("./registry-import.js");
    await importArchive(dir, flags);
  },
  async exportArchive(dir, flags) {
    const { exportArchive } = await import("./registry-export.js");
    await exportArchive(dir, flags);
  },
};
