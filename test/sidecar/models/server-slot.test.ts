import t from "tap";
import { MODEL_NAME } from "../../../core/contract/models.js";
import {
  freeSlot,
  readSlotContainer,
  readSlotFolder,
  SLOTS,
  slotContainer,
  slotFolder,
} from "../../../sidecar/models/server-slot.js";

t.test("the first server of a model has the model's name; one character is too short for a container's", async (t) => {
  t.equal(slotContainer("ab", 0), "ab");
  t.equal(slotContainer("a", 0), "model-a");
  t.equal(slotFolder("a", 0), "a");
});

t.test("each place has a name of its own, and is read from it", async (t) => {
  for (const model of ["m", "a.b-c_d", "m.sluice-1"]) {
    for (let slot = 0; slot < SLOTS; slot++) {
      t.strictSame(readSlotFolder(slotFolder(model, slot)), { model, slot });
      t.equal(readSlotContainer(slotContainer(model, slot), model), slot);
      t.match(slotContainer(model, slot), /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/, "as Docker takes it");
      if (slot > 0) t.notMatch(slotFolder(model, slot), MODEL_NAME, "no model has it as its own");
    }
  }
  t.equal(readSlotContainer("another", "m"), null);
});

t.test("the first free place is taken; where all are in use there is none", async (t) => {
  t.equal(freeSlot(new Set()), 0);
  t.equal(freeSlot(new Set([0, 2])), 1);
  t.equal(freeSlot(new Set([0, 1, 2, 3])), null);
});
