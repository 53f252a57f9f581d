/** Anything that lives long: started once, stopped once, every undo run even when one of them throws. */

export type Undo = (deadlineMs: number) => void | Promise<void>;

/** A LIFO list of undos. Whatever acquires something pushes its release at once. */
export class Releasers {
  readonly #undos: { name: string; undo: Undo }[] = [];
  #stopped: Promise<void> | undefined;

  push(name: string, undo: Undo): void {
    this.#undos.push({ name, undo });
  }

  /**
   * Runs every undo, newest first, all sharing one deadline. Idempotent: later calls get the same promise.
   * @param deadlineMs epoch time by which everything should be down
   * @throws AggregateError when undos failed, after all have run
   */
  stop(deadlineMs: number): Promise<void> {
    this.#stopped ??= this.#run(deadlineMs);
    return this.#stopped;
  }

  async #run(deadlineMs: number): Promise<void> {
    const failures: unknown[] = [];
    for (let each = this.#undos.pop(); each !== undefined; each = this.#undos.pop()) {
      try {
        await each.undo(deadlineMs);
      } catch (cause) {
        failures.push(new Error(`stopping ${each.name} failed`, { cause }));
      }
    }
    if (failures.length > 0) throw new AggregateError(failures, "not everything stopped cleanly");
  }
}
