import t from "tap";
import { editDistance, nearest } from "../../config/nearest.js";

t.test("the distance counts changes, additions, losses and swaps", async (t) => {
  for (const [from, to, distance] of [
    ["", "", 0],
    ["", "ab", 2],
    ["port", "port", 0],
    ["prot", "port", 1],
    ["pot", "port", 1],
    ["ports", "port", 1],
    ["kitten", "sitting", 3],
    ["ab", "ba", 1],
  ] as const) {
    t.equal(editDistance(from, to), distance, `${from} ${to}`);
    t.equal(editDistance(to, from), distance, `${to} ${from}`);
  }
});

t.test("the nearest word is found, other spellings are the same word, strangers have none", async (t) => {
  const words = ["port", "host", "data_dir", "max_body_size", "x"];
  t.equal(nearest("prot", words), "port");
  t.equal(nearest("dataDir", words), "data_dir");
  t.equal(nearest("data-dir", words), "data_dir");
  t.equal(nearest("max_body", words), undefined);
  t.equal(nearest("max_body_szie", words), "max_body_size");
  t.equal(nearest("banana", words), undefined);
  t.equal(nearest("y", words), undefined);
  t.equal(nearest("p".repeat(1e6), words), undefined);
});
