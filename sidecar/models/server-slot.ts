/**
 * Places for the servers of one model, so that a new version's can stand beside the present one. The first place has the model's own
 * name, as ever; the others add a number behind a mark. Pure.
 */

/** Present, to come, and former ones that are still in use. */
export const SLOTS = 4;
export const FIRST_SLOT = 0;

/** No model has it in its name. */
const FOLDER_MARK = "@";
/** No name of ours by chance; Docker takes no `@`. */
const CONTAINER_MARK = ".sluice-";

/** The name of its folder below `models/`. */
export function slotFolder(model: string, slot: number): string {
  return slot === FIRST_SLOT ? model : `${model}${FOLDER_MARK}${slot}`;
}

export function readSlotFolder(folder: string): { readonly model: string; readonly slot: number } {
  const [, model, slot] = /^(.+)@([1-9]\d*)$/.exec(folder) ?? [];
  return model === undefined ? { model: folder, slot: FIRST_SLOT } : { model, slot: Number(slot) };
}

/** The name of its container. Docker takes none of one character. */
export function slotContainer(model: string, slot: number): string {
  if (slot !== FIRST_SLOT) return `${model}${CONTAINER_MARK}${slot}`;
  return model.length > 1 ? model : `model-${model}`;
}

/** Of a container of ours by its name; null where that is none we give. */
export function readSlotContainer(container: string, model: string): number | null {
  for (let slot = FIRST_SLOT; slot < SLOTS; slot++) if (slotContainer(model, slot) === container) return slot;
  return null;
}

/** The first free one; null when all are taken. */
export function freeSlot(taken: ReadonlySet<number>): number | null {
  for (let slot = FIRST_SLOT; slot < SLOTS; slot++) if (!taken.has(slot)) return slot;
  return null;
}
