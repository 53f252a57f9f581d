import t from "tap";
import { parseMultipart } from "../../../examples/gazetteer/multipart.js";

const BODY = [
  "preamble\r\n--b0\r\n",
  'Content-Disposition: form-data; name="trainer_export"; filename="a.json"\r\nContent-Type: application/json\r\n\r\n',
  "one\r\n--b0x\r\n-- two",
  '\r\n--b0\r\ncontent-disposition: form-data; name="description"\r\n\r\nwords é',
  '\r\n--b0\r\nContent-Disposition: form-data; name="trainer_export"; filename="empty"\r\n\r\n',
  "\r\n--b0--\r\nepilogue",
].join("");

async function* inChunks(body: string, size: number): AsyncGenerator<Buffer> {
  const bytes = Buffer.from(body);
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

t.test("a form reads the same however its bytes are cut into chunks", async (t) => {
  for (const size of [1, 2, 3, 5, 7, 11, 64, 10_000]) {
    // A line that only begins like the boundary is malformed once it is found, so the content avoids it.
    const { files, fields } = await parseMultipart(inChunks(BODY.replace("--b0x", "--c0x"), size), "b0");
    t.strictSame(
      files.get("trainer_export")?.map(({ fileName, content }) => [fileName, content.toString()]),
      [
        ["a.json", "one\r\n--c0x\r\n-- two"],
        ["empty", ""],
      ],
      `chunks of ${size}`,
    );
    t.strictSame(fields.get("description"), ["words é"]);
  }
});

t.test("a form that is malformed, cut short or too large is refused with 400", async (t) => {
  const refused: [string, RegExp][] = [
    [BODY, /followed by something else/],
    [BODY.replace("--b0x", "").slice(0, -20), /ends before/],
    ["--b0\r\ncontent-type: text/plain\r\n\r\nx\r\n--b0--", /must be provided/],
    [`--b0\r\ncontent-disposition: form-data; name="d"\r\n\r\n${"x".repeat(1_048_577)}\r\n--b0--`, /1024KB/],
    [`--b0\r\n${"x".repeat(20_000)}`, /too long/],
    [`${'--b0\r\ncontent-disposition: form-data; name="d"\r\n\r\nx\r\n'.repeat(1_001)}--b0--`, /Too many fields/],
  ];
  for (const [body, detail] of refused) {
    const refusal = await parseMultipart(inChunks(body, 4_096), "b0").catch((error: unknown) => error);
    t.match(refusal, { status: 400, body: { detail } });
  }
});
