import t from "tap";
import { jsonFaultAt } from "../../../sidecar/api/json-fault.js";

t.test("the place is where the text stops being JSON", async (t) => {
  const cases: [string, number][] = [
    ["{", 1],
    ["{]", 1],
    ['{"a"', 4],
    ['{"a" 1}', 5],
    ['{"a":1,}', 7],
    ['{"a": nope}', 6],
    ["[1,]", 3],
    ["[1 2]", 3],
    ["[1}", 2],
    ["1 2", 2],
    ["tru", 0],
    ['"a\nb"', 0],
    ["['a']", 1],
    ["01", 1],
    ["", 0],
    ["{}}", 2],
    [",", 0],
    ["{1:2}", 1],
  ];
  for (const [text, at] of cases) {
    t.throws(() => JSON.parse(text), text);
    t.equal(jsonFaultAt(text), at, text);
  }
});

t.test("whatever comes before it can be the beginning of JSON, however deep", async (t) => {
  t.equal(jsonFaultAt("[".repeat(100_000)), 100_000);
  const whole = JSON.stringify({ a: [1, -2.5e3, 'é\u0085"', null, true, {}, []], b: { c: "x" } });
  t.equal(jsonFaultAt(`${whole}!`), whole.length);
});
