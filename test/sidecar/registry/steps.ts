/** Everything that is durable in a registry, once or more. */
import type { Step } from "./reference-model.js";

const BIG = "0123456789".repeat(2_000);

export const STEPS: readonly Step[] = [
  { do: "put", model: "a", value: "1" },
  { do: "push", model: "a", data: BIG, archived: true },
  { do: "push", model: "a", data: "transient", archived: false },
  { do: "alias", model: "a", alias: "champion", number: 1 },
  { do: "begin", model: "a", dataBytes: 6 },
  { do: "append", model: "a", at: 0, data: "abc" },
  { do: "put", model: "b", value: "1" },
  { do: "push", model: "b", data: "of b", archived: true },
  { do: "append", model: "a", at: 3, data: "def" },
  { do: "alias", model: "a", alias: "other", number: 3 },
  { do: "alias", model: "a", alias: "other", number: null },
  { do: "delete-version", model: "a", number: 1 },
  { do: "delete-model", model: "b" },
  { do: "put", model: "b", value: "2" },
  { do: "push", model: "b", data: "of another b", archived: true },
  { do: "put", model: "a", value: "2" },
  { do: "push", model: "a", data: "last", archived: true },
];
