import t from "tap";
import {
  fitsFileName,
  modelFileOf,
  roleOf,
  type VersionPart,
  versionFilesOf,
} from "../../../../sidecar/registry/cogment/cogment-names.js";

const VERSIONS: [id: string, name: string, versionNumber: number, part: VersionPart][] = [
  ["foo", "foo-v000001.yaml", 1, "info"],
  ["foo", "foo-v000001.data", 1, "data"],
  ["foo", "foo-v999999.data", 999_999, "data"],
  ["foo", "foo-v1000000.yaml", 1_000_000, "info"],
  ["foo", "foo-v4294967295.data", 4_294_967_295, "data"],
  ["resnet-v2", "resnet-v2-v000003.yaml", 3, "info"],
  ["123", "123-v000001.yaml", 1, "info"],
  ["é", "é-v000001.data", 1, "data"],
  ["a.b [c]*", "a.b [c]*-v000001.data", 1, "data"],
  ["foo-v000001", "foo-v000001-v000002.yaml", 2, "info"],
];
t.test("a version's files are known by their folder's name, whatever that looks like", async (t) => {
  for (const [id, name, versionNumber, part] of VERSIONS) {
    t.same(roleOf(id, name), { kind: "version", versionNumber, part }, name);
    t.equal(versionFilesOf(id, versionNumber)[part], name, "and written with the same name");
  }
});

t.test("an id that ends like a version's is not taken for one", async (t) => {
  for (const id of ["resnet-v2", "foo-v000001", "123", "é"]) {
    t.same(roleOf(id, modelFileOf(id)), { kind: "model" }, id);
  }
});

const ODD: [id: string, name: string, why: RegExp][] = [
  ["foo", "foo-v1.yaml", /named -v000001/],
  ["foo", "foo-v0000001.data", /named -v000001/],
  ["foo", "foo-v01000000.data", /named -v1000000/],
  ["foo", "foo-v000000.yaml", /numbered 1 to/],
  ["foo", "foo-v4294967296.yaml", /numbered 1 to/],
  ["foo", "bar-v000001.yaml", /does not begin/],
  ["foo", "foo-bar-v000001.yaml", /no version/],
  ["foo", "foo-v000001.yaml.bak", /no version/],
  ["foo", "foo-v000001-yaml", /no version/],
  ["foo", "bar.yaml", /does not begin/],
  ["foo", "FOO.yaml", /does not begin/],
  ["foo", "foo.data", /no version/],
  ["resnet-v2", "resnet-v2.data", /no version/],
];
t.test("what may be a model's under another name is odd, and why is said", async (t) => {
  for (const [id, name, why] of ODD) {
    const role = roleOf(id, name);
    t.equal(role.kind, "odd", name);
    if (role.kind === "odd") t.match(role.why, why, name);
  }
});

t.test("everything else is a stray", async (t) => {
  for (const name of ["README.md", ".DS_Store", "notes", "foo", "foo.yml", "data"]) {
    t.same(roleOf("foo", name), { kind: "stray" }, name);
  }
});

t.test("an id too long for a file with a number is told beforehand", async (t) => {
  t.ok(fitsFileName("x".repeat(242), 999_999));
  t.notOk(fitsFileName("x".repeat(242), 1_000_000));
  t.notOk(fitsFileName("é".repeat(122), 1));
});
