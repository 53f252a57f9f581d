import t from "tap";
import { parse } from "yaml";
import {
  InfoFault,
  readModelInfo,
  readVersionInfo,
  writeModelInfo,
  writeVersionInfo,
} from "../../../../sidecar/registry/cogment/cogment-info.js";
import { Random } from "../../../simulation/random.js";
import { ODD_TEXTS, oddText } from "../odd-texts.js";

const SAMPLE = `model_id: foo
version_number: 4
creation_timestamp: 2021-10-01T20:10:05.10745462Z
data_hash: ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=
data_size: 3
user_data:
  k: v
`;
const FACTS = {
  modelId: "foo",
  versionNumber: 4,
  creationTimestamp: 1_633_119_005_107_454_620n,
  dataHash: "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=",
  dataBytes: 3,
  userData: { k: "v" },
};

t.test("a version's file as Cogment writes it is read, and written again byte for byte", async (t) => {
  t.same(readVersionInfo(SAMPLE), { ...FACTS, isTransient: false });
  t.equal(writeVersionInfo(FACTS), SAMPLE);
});

t.test("a model's file too, its keys in natural order", async (t) => {
  const text = 'model_id: "123"\nuser_data:\n  k9: v\n  k10: "yes"\n  \'note: x\': |-\n    one\n    two\n';
  const userData = { "note: x": "one\ntwo", k10: "yes", k9: "v" };
  t.same(readModelInfo(text), { modelId: "123", userData });
  t.equal(writeModelInfo({ modelId: "123", userData }), text);
  t.equal(writeModelInfo({ modelId: "foo", userData: {} }), "model_id: foo\nuser_data: {}\n");
});

t.test("values are the text that stands there, whatever type it looks like", async (t) => {
  const { userData } = readModelInfo(
    'user_data:\n  a: 123\n  b: true\n  c: "1"\n  d: ~\n  e:\n  f: 0x1F\n  g: 2020-01-01\n  1: 1:20\n  h: !!binary aMOp\n  i: !!int 5\n',
  );
  t.same(userData, {
    ...{ a: "123", b: "true", c: "1", d: "~", e: "", f: "0x1F", g: "2020-01-01", "1": "1:20", h: "hé", i: "5" },
  });
});

t.test("long strings that Cogment folded are whole again", async (t) => {
  const { userData } = readModelInfo(
    "user_data:\n  plain: word word\n    word\n  double: \"word \\\n    word\"\n  single: 'it''s:\n    so'\n  lines: |2+\n     one\n\n    two\n\n",
  );
  t.same(userData, { plain: "word word word", double: "word word", single: "it's: so", lines: " one\n\ntwo\n\n" });
});

t.test("keys that are missing are nothing, keys that are not known are left aside", async (t) => {
  const nothing = {
    ...{ modelId: null, versionNumber: null, isTransient: false, creationTimestamp: null },
    ...{ dataHash: null, dataBytes: null, userData: {} },
  };
  t.same(readVersionInfo(""), nothing);
  t.same(readVersionInfo("other: [1, {a: b}]\nuser_data: null\ndata_size:\nversion_number: ~\n"), nothing);
});

t.test("of two documents the first counts, as with Cogment", async (t) => {
  t.equal(readModelInfo("model_id: a\n---\nmodel_id: b\n").modelId, "a");
});

const FAULTS: [what: string, text: string, message: RegExp][] = [
  ["no YAML", "user_data: {a: b", /not valid YAML/],
  ["a key twice", "model_id: a\nmodel_id: b\n", /not valid YAML/],
  ["a list", "- a\n", /no list of keys/],
  ["text", "secret", /no list of keys/],
  ["a number that is none", "version_number: four\n", /version_number cannot be read/],
  ["a negative size", "data_size: -1\n", /data_size cannot be read/],
  ["a size beyond numbers", "data_size: 99999999999999999999\n", /data_size cannot be read/],
  ["a moment that is none", "creation_timestamp: secret\n", /creation_timestamp cannot be read/],
  ["a truth that is none", "transient: maybe\n", /transient cannot be read/],
  ["user data that is text", "user_data: secret\n", /user_data is no list/],
  ["user data within user data", "user_data:\n  a:\n    secret: c\n", /value that is no text/],
  ["an alias", "user_data:\n  a: &x secret\n  b: *x\n", /value that is no text/],
  ["a key that is a list", "user_data:\n  ? [a]\n  : b\n", /key that is no text/],
  ["bytes that are no text", "user_data:\n  a: !!binary //8=\n", /value that is no text/],
  ["nesting without end", `user_data: ${"[".repeat(20_000)}`, /not valid YAML/],
];
for (const [what, text, message] of FAULTS) {
  t.test(`${what} is a fault in words without the file's`, async (t) => {
    const fault = t.throws(() => readVersionInfo(text)) as unknown as Error;
    t.ok(fault instanceof InfoFault, String(fault));
    t.match(fault.message, message);
    t.notMatch(fault.message, /secret/);
  });
}

/** Another reader, with YAML 1.1's types, and Cogment's way to take them: it must see strings alone. */
function readByTypes(text: string): unknown {
  return (parse(text, { version: "1.1", merge: true }) as { user_data: unknown }).user_data;
}

t.test("every odd string comes back as it was, for us and for a reader that looks for types", async (t) => {
  for (const value of ODD_TEXTS) {
    const text = writeModelInfo({ modelId: "m", userData: { key: value } });
    t.same(readModelInfo(text).userData, { key: value }, JSON.stringify(text));
    t.same(readByTypes(text), { key: value }, `by types: ${JSON.stringify(text)}`);
    const asKey = writeModelInfo({ modelId: "m", userData: Object.fromEntries([[value, "value"]]) });
    t.same(readModelInfo(asKey).userData, Object.fromEntries([[value, "value"]]), JSON.stringify(asKey));
  }
});

t.test("any user data comes back, the keys sorted", async (t) => {
  for (let seed = 1; seed <= 400; seed++) {
    const random = new Random(seed);
    const pairs = Array.from({ length: random.whole(0, 6) }, () => [oddText(random), oddText(random)] as const);
    const facts = { ...FACTS, modelId: "x", userData: Object.fromEntries(pairs) };
    const text = writeVersionInfo(facts);
    const read = readVersionInfo(text);
    const isSame = JSON.stringify(sorted(read.userData)) === JSON.stringify(sorted(facts.userData));
    if (!isSame) t.fail(`seed ${seed}`, { text, read: read.userData, wanted: facts.userData });
    t.equal(writeVersionInfo({ ...facts, userData: read.userData }), text);
  }
});

function sorted(userData: Readonly<Record<string, string>>): [string, string][] {
  return Object.entries(userData).sort(([one], [other]) => (one < other ? -1 : 1));
}
