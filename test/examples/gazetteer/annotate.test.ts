import { readFile } from "node:fs/promises";
import t from "tap";
import { Annotator, resolveOverlaps } from "../../../examples/gazetteer/annotate.js";
import { allDocuments, parseExport } from "../../../examples/gazetteer/export.js";
import { isNhsNumber } from "../../../examples/gazetteer/patterns.js";
import { redact } from "../../../examples/gazetteer/redact.js";
import { BUILT_IN_TERMS } from "../../../examples/gazetteer/terms.js";

const DATA = new URL("../../../../test/data/", import.meta.url);
const annotator = new Annotator(BUILT_IN_TERMS);
const found = (text: string) => annotator.annotate(text).map(({ label_id, text: words }) => `${label_id} ${words}`);

async function readNotes(): Promise<string[]> {
  const texts = JSON.parse(await readFile(new URL("sample_texts.json", DATA), "utf8")) as string[];
  const trainerExport = parseExport(await readFile(new URL("trainer_export.json", DATA), "utf8"));
  return [...texts, ...allDocuments(trainerExport).map(({ text }) => text)];
}

t.test("the README's sentence gives a date, a name and a phone number", async (t) => {
  t.strictSame(found("Seen on 3 March 2021 by Dr Khan, tel 020 7946 0958"), [
    "DATE 3 March 2021",
    "NAME Dr Khan",
    "PHONE 020 7946 0958",
  ]);
});

t.test("in every real note each span says what stands there, in code points, in order and apart", async (t) => {
  let spans = 0;
  for (const note of await readNotes()) {
    for (const text of [note, `\u{1F9E0}\u{1F9E0} ${note}`]) {
      const points = Array.from(text);
      let last = 0;
      for (const { start, end, text: words } of annotator.annotate(text)) {
        spans++;
        if (points.slice(start, end).join("") !== words || start < last || end <= start)
          t.fail(`${start}-${end} is not ${words}`);
        last = end;
      }
    }
  }
  t.ok(spans > 400, `found ${spans} spans`);
});

t.test("characters beyond the first plane before and inside a text count once", async (t) => {
  const [fever, asthma] = annotator.annotate("\u{1F912} fever \u{1D54F}\u{1D54F} asthma");
  t.match(
    [fever, asthma],
    [
      { start: 2, end: 7, text: "fever" },
      { start: 11, end: 17, text: "asthma" },
    ],
  );
});

t.test("each pattern finds what it is for and leaves what only looks like it", async (t) => {
  const finds: [string, string[]][] = [
    [
      "born 03/03/2021, 2021-03-03 and 3rd of March 2021",
      ["DATE 03/03/2021", "DATE 2021-03-03", "DATE 3rd of March 2021"],
    ],
    ["March 3, 2021", ["DATE March 3, 2021"]],
    ["45/13/2021 and 12.5.2", []],
    ["call +44 20 7946 0958 or 07700 900123", ["PHONE +44 20 7946 0958", "PHONE 07700 900123"]],
    ["NHS 943 476 5919, not 943 476 5918", ["NHS_NUMBER 943 476 5919"]],
    ["NHS 9434765919.", ["NHS_NUMBER 9434765919"]],
    ["write to jo.smith@nhs.example.org.", ["EMAIL jo.smith@nhs.example.org"]],
    ["lives at SW1A 1AA in M1 1AE", ["POSTCODE SW1A 1AA", "POSTCODE M1 1AE"]],
    ["Mrs Jane Smith and dr nobody and Dr. O’Neill", ["NAME Mrs Jane Smith", "NAME Dr. O’Neill"]],
  ];
  for (const [text, expected] of finds) t.strictSame(found(text), expected, text);
});

t.test("the NHS number's check digit is modulus 11, and a check of 10 is no number", async (t) => {
  t.ok(isNhsNumber("943 476 5919"));
  t.ok(isNhsNumber("4010232137"));
  t.notOk(isNhsNumber("9434765918"));
  t.notOk(isNhsNumber("0000000060"), "the remainder asks for 10");
  t.notOk(isNhsNumber("94347659"));
});

t.test("terms match whole words, across a line break, and capitals only where they are written so", async (t) => {
  t.strictSame(found("KIDNEY\nfailure; asthmatic; tia, TIA/stroke"), [
    "42399005 KIDNEY\nfailure",
    "266257000 TIA",
    "230690007 stroke",
  ]);
  t.strictSame(found("type 2 diabetes mellitus and diabetes"), [
    "44054006 type 2 diabetes mellitus",
    "73211009 diabetes",
  ]);
  t.strictSame(found("kidney. Failure"), []);
});

t.test("of overlapping spans the longest wins, then the earliest", async (t) => {
  const span = (start: number, end: number, id: string) => ({ start, end, id, name: id, category: "x" });
  const kept = resolveOverlaps([
    span(4, 8, "b"),
    span(0, 5, "a"),
    span(5, 10, "c"),
    span(20, 22, "e"),
    span(20, 22, "f"),
  ]);
  t.strictSame(
    kept.map(({ id }) => id),
    ["a", "c", "e"],
  );
  t.strictSame(
    resolveOverlaps([span(0, 3, "short"), span(2, 10, "long")]).map(({ id }) => id),
    ["long"],
  );
});

t.test("hostile text does not make it slow", async (t) => {
  const started = performance.now();
  for (const piece of ["1", "a.", "Dr A ", "3 March ", "0 ", "a@", "type 2 ", "-1"])
    annotator.annotate(piece.repeat(50_000));
  t.ok(performance.now() - started < 10_000, `${Math.round(performance.now() - started)} ms`);
});

t.test("redaction leaves no found identifier in any real note", async (t) => {
  for (const note of await readNotes()) {
    const redacted = redact(annotator, note, { keep: [], mask: "***", hash: false }) ?? note;
    for (const { text } of annotator.annotate(note)) {
      if (text.length > 8 && annotator.annotate(redacted).some((left) => left.text === text)) t.fail("a span survived");
    }
  }
  t.pass("all notes");
});
