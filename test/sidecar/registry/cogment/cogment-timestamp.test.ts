import t from "tap";
import { readTimestamp, writeTimestamp } from "../../../../sidecar/registry/cogment/cogment-timestamp.js";
import { Random } from "../../../simulation/random.js";

const WRITTEN: [nanoseconds: bigint, text: string][] = [
  [1_633_119_005_107_454_620n, "2021-10-01T20:10:05.10745462Z"],
  [0n, "1970-01-01T00:00:00Z"],
  [1n, "1970-01-01T00:00:00.000000001Z"],
  [1_700_000_000_999_999_999n, "2023-11-14T22:13:20.999999999Z"],
  [1_700_000_000_000_000_000n, "2023-11-14T22:13:20Z"],
  [1_709_164_800_500_000_000n, "2024-02-29T00:00:00.5Z"],
  [2n ** 63n - 1n, "2262-04-11T23:47:16.854775807Z"],
  // Without a sign on the wire, with one in Cogment's memory.
  [2n ** 64n - 1n, "1969-12-31T23:59:59.999999999Z"],
  [2n ** 63n, "1677-09-21T00:12:43.145224192Z"],
];
t.test("nanoseconds are written as Cogment does and read back to the last digit", async (t) => {
  for (const [nanoseconds, text] of WRITTEN) {
    t.equal(writeTimestamp(nanoseconds), text);
    t.equal(readTimestamp(text), nanoseconds, text);
  }
});

t.test("any 64 bits come back", async (t) => {
  const random = new Random(7);
  for (let round = 0; round < 5_000; round++) {
    const nanoseconds = BigInt.asUintN(
      64,
      (BigInt(random.whole(0, 0xffff_ffff)) << 32n) | BigInt(random.whole(0, 0xffff_ffff)),
    );
    if (readTimestamp(writeTimestamp(nanoseconds)) !== nanoseconds) t.fail(String(nanoseconds));
  }
});

const ALSO_READ: [text: string, same: string][] = [
  ["2021-10-01T22:10:05.10745462+02:00", "2021-10-01T20:10:05.10745462Z"],
  ["2021-10-01T15:40:05.10745462-04:30", "2021-10-01T20:10:05.10745462Z"],
  ["2021-10-01T00:30:00+01:00", "2021-09-30T23:30:00Z"],
  ["2021-10-01t20:10:05.5Z", "2021-10-01T20:10:05.5Z"],
  ["2021-10-01 20:10:05.5", "2021-10-01T20:10:05.5Z"],
  ["2021-10-1 20:10:05 -5", "2021-10-02T01:10:05Z"],
  ["2021-10-01", "2021-10-01T00:00:00Z"],
  ["2021-10-01T20:10:05.1234567899Z", "2021-10-01T20:10:05.123456789Z"],
];
t.test("zone offsets and YAML's shorter forms are read", async (t) => {
  for (const [text, same] of ALSO_READ) t.equal(readTimestamp(text), readTimestamp(same), text);
});

t.test("Go's moment that is none reads as what Cogment answers for it", async (t) => {
  t.equal(readTimestamp("0001-01-01T00:00:00Z"), 11_651_379_494_838_206_464n);
});

t.test("what is no timestamp is none", async (t) => {
  for (const text of [
    ...["", "now", "2021", "1633119005", "2021-13-01", "2021-02-29T00:00:00Z", "2021-10-01T24:00:00Z"],
    ...[
      "2021-10-01T20:60:05Z",
      "2021-10-01T20:10:60Z",
      "2021-10-01T20:10:05+99:00",
      "2021-10-01T20:10:05Zz",
      "2021-00-10",
    ],
  ]) {
    t.equal(readTimestamp(text), null, text);
  }
});
