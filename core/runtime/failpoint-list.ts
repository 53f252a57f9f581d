/** Every named place there is. `test/house/failpoints.test.ts` holds these lists against the source, and against the tests that kill there. */

/**
 * Steps that are durable, or hand a task on, in the order a first start and a task's life pass them. The crash matrix
 * (`test/e2e/crash-matrix.test.ts`) kills a process at each; one it does not reach fails it.
 */
export const FAILPOINTS = [
  "migrate.before_commit",
  "sweep.before_remove",
  // A body on its way to the disk: a request's, or an answer's.
  "blob.before_create",
  "blob.before_write",
  "blob.before_sync",
  "blob.before_rename",
  "blob.after_rename",
  "blob.after_sync",
  "blob.before_remove",
  "blob.after_remove",
  // Moves of a task, inside the transaction.
  "insert.before_commit",
  "claim.before_commit",
  "running.before_commit",
  "requeue.before_commit",
  "finish.before_commit",
  "fail_waiting.before_commit",
  "expire.before_commit",
  "probe.before_commit",
  // The writer's transaction, whatever is in it.
  "writer.before_commit",
  "writer.after_commit",
  "writer.before_answer",
  // Where a task is handed on: durable here, unknown there.
  "submit.before_answer",
  "attempt.before_send",
  "attempt.after_send",
  "attempt.after_answer",
  "finish.before_announce",
] as const;

/** Steps of what becomes of tasks that are final. Each part's own crash test kills there. */
export const UPKEEP_FAILPOINTS = [
  "retention.before_commit",
  "retention.after_commit",
  "retention.before_unlink",
  "callback.before_send",
  "callback.after_send",
  "callback.before_commit",
  "cache.before_commit",
  "blob.before_link",
  "answered.before_commit",
] as const;

/** Steps of what operators say of models. A crash test of their own kills there. */
export const MODEL_FAILPOINTS = [
  "on_demand.after_disable",
  "on_demand.before_commit",
  "deployment.before_commit",
  "deploy.after_row",
  "remove.after_stop",
  // Another server takes the place of the present one.
  "rollout.before_start",
  "rollout.after_ready",
  "rollout.before_commit",
  "rollout.after_commit",
  "rollout.after_switch",
  "rollout.after_stop",
] as const;

/**
 * Steps of the model registry: bytes on their way into the archive and out of it, rows inside their transactions, and what lies between.
 * Its own crash matrix (`test/sidecar/registry/registry-crash.test.ts`) kills at each; one it does not reach fails it.
 */
export const REGISTRY_FAILPOINTS = [
  "archive.before_sweep",
  "archive.before_create",
  "archive.before_write",
  "archive.before_sync",
  "archive.after_sync",
  "archive.before_rename",
  "archive.after_rename",
  "archive.after_keep",
  "archive.before_remove",
  "archive.after_remove",
  "archive.before_remove_folder",
  "registry.model.before_commit",
  "registry.version.before_keep",
  "registry.version.after_keep",
  "registry.version.before_commit",
  "registry.version.after_commit",
  "registry.number.before_commit",
  "registry.alias.before_commit",
  "registry.upload.before_row",
  "registry.upload.after_sync",
  "registry.upload.before_commit",
  "registry.delete_version.before_commit",
  "registry.delete_model.before_commit",
  "registry.delete.before_removals",
  "registry.removal.before_unlink",
  "registry.removal.after_unlink",
  "registry.removal.before_commit",
] as const;

/** Steps of an import from Cogment's layout and of an export to it. A crash test of their own kills there. */
export const TRANSFER_FAILPOINTS = [
  "import.before_model",
  "import.after_model",
  "import.before_version",
  "import.after_version",
  "registry.import.before_commit",
  "export.before_rename",
  "export.after_rename",
] as const;

/** Passed by every single call of a kind, so that a test can make the n-th of them fail (`file.call=throw:EIO@7`). */
export const CALL_PLACES = ["file.call", "db.start", "db.read", "db.write"] as const;
export type CallPlace = (typeof CALL_PLACES)[number];
