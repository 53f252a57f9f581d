/** `sluice registry import`, `export` and `verify`, without a running Sluice and beside one. */
import { chmodSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import t, { type Test } from "tap";
import { makeFolder } from "../helpers/folder.js";
import { startSidecarProcess } from "../helpers/sidecar.js";
import { infoText, modelFiles, readTree, writeFiles } from "../sidecar/registry/archive-rig.js";
import { runSluice } from "./programs/run-sluice.js";

const ONE = Buffer.from("one");
const BIG = Buffer.alloc(9_000_000, "weights");

function archiveOf(t: Test): string {
  const dir = join(makeFolder(t), "cogment");
  mkdirSync(dir);
  writeFiles(dir, { ...modelFiles("foo", { 1: ONE, 2: BIG, 7: ONE }), ...modelFiles("resnet-v2", { 1: ONE }) });
  return dir;
}

t.test("without a running Sluice: in, checked, and out again", async (t) => {
  const dir = archiveOf(t);
  const dataDir = join(makeFolder(t), "data");
  const where = ["--data-dir", dataDir];
  const first = await runSluice(["registry", "import", dir, ...where]);
  t.equal(first.code, 0, first.stderr);
  t.equal(first.stdout.toString(), "", "nothing to say");
  t.equal(first.stderr, "2 models and 4 versions imported (9.0 MB), nothing left out\n");
  t.notOk(readdirSync(dataDir).includes("serve.lock"), "the folder is free again");

  writeFiles(dir, { "foo/foo-v000008.yaml": infoText("foo", 8, ONE), "foo/foo-v000008.data": "cut", "notes.txt": "" });
  const second = await runSluice(["registry", "import", dir, ...where]);
  t.equal(second.code, 1, "something was left out");
  t.match(second.stdout.toString(), /^foo\t8\tleft out\t.*\n/m);
  t.match(second.stdout.toString(), /^notes.txt\t-\tnoted\tno part of an archive\n/m);
  t.match(second.stderr, "0 models and 0 versions imported (0 B), 4 versions there already, 1 left out");

  const out = join(makeFolder(t), "out");
  const exported = await runSluice(["registry", "export", out, "--model", "foo", "--json", ...where]);
  t.equal(exported.code, 0, exported.stderr);
  t.match(JSON.parse(exported.stdout.toString()), {
    models: { copied: 1 },
    versions: { copied: 3 },
    left_out: 0,
    items: [],
  });
  t.equal(Object.keys(readTree(out)).length, 7);
  const again = await runSluice(["registry", "export", out, ...where]);
  t.equal(again.code, 1);
  t.match(again.stderr, /not empty/);
  t.match(again.stderr, /--merge/);
});

t.test("beside a running Sluice, by its socket; verify finds what is damaged and nothing else", async (t) => {
  const dir = archiveOf(t);
  const dataDir = join(makeFolder(t), "data");
  mkdirSync(dataDir);
  const sidecar = await startSidecarProcess({ dataDir, config: { registry: { port: 0 } } });
  t.teardown(async () => {
    sidecar.kill("SIGTERM");
    await sidecar.exited;
  });
  t.not(await sidecar.ready, null, sidecar.stderr());
  const where = ["--config", join(dataDir, "..", "sluice.yaml"), "--data-dir", dataDir];
  const first = await runSluice(["registry", "import", dir, "--json", ...where]);
  t.equal(first.code, 0, first.stderr);
  t.match(JSON.parse(first.stdout.toString()), { versions: { copied: 4, present: 0 }, data_bytes: 9_000_009 });
  const none = await runSluice(["registry", "import", join(dir, "none"), ...where]);
  t.equal(none.code, 1);
  t.match(none.stderr, /cannot be read: ENOENT/);
  const out = join(makeFolder(t), "out");
  const exported = await runSluice(["registry", "export", out, ...where]);
  t.equal(exported.code, 0, exported.stderr);
  t.same(readTree(out), readTree(dir));

  const whole = await runSluice(["registry", "verify", ...where]);
  t.equal(whole.code, 0, whole.stderr);
  const archive = join(dataDir, "archive");
  const folder = readdirSync(archive).find((name) => name.endsWith("-foo"))!;
  const file = join(archive, folder, "v000007.data");
  chmodSync(file, 0o600);
  writeFileSync(file, "ONE");
  const damaged = await runSluice(["registry", "verify", ...where]);
  t.equal(damaged.code, 1);
  t.equal(damaged.stdout.toString(), "foo 7 damaged\n");
});
