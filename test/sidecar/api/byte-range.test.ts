import t from "tap";
import { decidePortion, parseRange } from "../../../sidecar/api/byte-range.js";

const ETAG = '"abc"';
const portion = (headers: { range?: string; ifRange?: string; ifNoneMatch?: string }, size = 100) =>
  decidePortion({ range: undefined, ifRange: undefined, ifNoneMatch: undefined, ...headers }, ETAG, size);

t.test("a range is from the start, up to the end, or the last so many bytes", async (t) => {
  t.same(parseRange("bytes=0-0", 100), { start: 0, end: 0 });
  t.same(parseRange("bytes=10-19", 100), { start: 10, end: 19 });
  t.same(parseRange("bytes=10-", 100), { start: 10, end: 99 });
  t.same(parseRange("bytes=-10", 100), { start: 90, end: 99 });
  t.same(parseRange("Bytes= 10-19 ", 100), { start: 10, end: 19 }, "units compare without case");
});

t.test("a range that reaches beyond the end is cut to it", async (t) => {
  t.same(parseRange("bytes=90-1000", 100), { start: 90, end: 99 });
  t.same(parseRange("bytes=-1000", 100), { start: 0, end: 99 });
  t.same(parseRange(`bytes=1-${"9".repeat(400)}`, 100), { start: 1, end: 99 }, "however far");
});

t.test("a range of which there is no byte cannot be had", async (t) => {
  for (const range of ["bytes=100-", "bytes=100-200", "bytes=-0", `bytes=${"9".repeat(400)}-`])
    t.equal(parseRange(range, 100), "unsatisfiable", range);
  for (const range of ["bytes=0-", "bytes=-5"]) t.equal(parseRange(range, 0), "unsatisfiable", `${range} of nothing`);
});

t.test("several ranges, other units and what is no range mean the whole", async (t) => {
  for (const range of [
    "bytes=0-1,5-6",
    "bytes=-",
    "bytes=5-4",
    "lines=1-2",
    "bytes=a-b",
    "bytes 0-5",
    "",
    "bytes=1-2-3",
  ])
    t.equal(parseRange(range, 100), "whole", range);
});

t.test("If-Range lets the range count only for the very same result", async (t) => {
  const range = "bytes=1-2";
  t.match(portion({ range, ifRange: ETAG }), { kind: "part" });
  for (const ifRange of ['W/"abc"', '"abd"', "Tue, 01 Jan 2030 00:00:00 GMT", ""])
    t.match(portion({ range, ifRange }), { kind: "whole" }, ifRange);
  t.match(
    portion({ range: "bytes=100-", ifRange: '"abd"' }),
    { kind: "whole" },
    "and one beyond the end is no fault then",
  );
});

t.test("If-None-Match wins over the range", async (t) => {
  for (const ifNoneMatch of [ETAG, '"x", "abc"', 'W/"abc"', "*"])
    t.match(portion({ range: "bytes=500-", ifNoneMatch }), { kind: "not-modified" }, ifNoneMatch);
  t.match(portion({ range: "bytes=1-2", ifNoneMatch: '"x"' }), { kind: "part" });
});
