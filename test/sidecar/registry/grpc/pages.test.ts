import t from "tap";
import { chosenPage, readModelHandle, readVersionHandle } from "../../../../sidecar/registry/grpc/pages.js";

t.test("a handle is what a former reply gave, or nothing", async (t) => {
  const rows: [string, bigint | null, bigint | null][] = [
    ["", 0n, 0n],
    ["0", 0n, 0n],
    ["-0", 0n, null],
    ["+1", 1n, null],
    ["007", 7n, 7n],
    ["-1", null, null],
    ["9223372036854775807", 2n ** 63n - 1n, 2n ** 63n - 1n],
    ["9223372036854775808", null, 2n ** 63n],
    ["18446744073709551615", null, 2n ** 64n - 1n],
    ["18446744073709551616", null, null],
    ["1\n", null, null],
    ["1e3", null, null],
    ["9".repeat(4_000_000), null, null],
  ];
  const read = (how: (handle: string) => bigint, handle: string) => {
    try {
      return how(handle);
    } catch {
      return null;
    }
  };
  for (const [handle, models, versions] of rows) {
    t.equal(read(readModelHandle, handle), models, `models ${handle.slice(0, 30)}`);
    t.equal(read(readVersionHandle, handle), versions, `versions ${handle.slice(0, 30)}`);
  }
});

t.test("a page of a chosen list never reaches beyond it", async (t) => {
  const rows: [bigint, number, string[]][] = [
    [0n, 0, ["a", "b", "c"]],
    [1n, 0, ["b", "c"]],
    [0n, 2, ["a", "b"]],
    [2n, 2, ["c"]],
    [3n, 0, []],
    [2n ** 64n - 1n, 5, []],
    [0n, 4_294_967_295, ["a", "b", "c"]],
  ];
  for (const [skip, count, page] of rows) t.strictSame(chosenPage(["a", "b", "c"], skip, count), page);
});
