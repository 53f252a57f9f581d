import t from "tap";
import { fieldsOf, fieldsWhere, valuesOf } from "../../../core/contract/raw-headers.js";

const HEADERS = ["Accept", "a/b", "X-Tag", "one", "accept", "c/d"];

t.test("fields come in their order, as they were written", async (t) => {
  t.same(
    [...fieldsOf(HEADERS)],
    [
      ["Accept", "a/b"],
      ["X-Tag", "one"],
      ["accept", "c/d"],
    ],
  );
  t.same(
    fieldsWhere(HEADERS, (name) => name === "accept"),
    ["Accept", "a/b", "accept", "c/d"],
  );
});

t.test("a name's values are found whatever its case, and a value is never taken for a name", async (t) => {
  t.same(valuesOf(HEADERS, "accept"), ["a/b", "c/d"]);
  t.same(valuesOf(["X-Tag", "accept", "X-Other", "y"], "accept"), []);
});

t.test("a name without its value is no field", async (t) => {
  t.same([...fieldsOf(["X-Tag", "one", "X-Cut"])], [["X-Tag", "one"]]);
});
