import { writeFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { ConfigError, loadConfig } from "../../config/load.js";
import { SETTINGS } from "../../config/settings.js";
import { toYaml } from "../../config/yaml.js";

const ROUNDS = 2_000;
const SECRET_TEXT = "hunter2hunter2";

/** A small generator with a seed, so that a failure can be had again. */
function randomOf(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

const ODD: readonly unknown[] = [
  null,
  true,
  false,
  0,
  -1,
  1.5,
  1e308,
  65_536,
  "",
  " ",
  "null",
  "5m",
  "1MiB",
  "\u0000",
  "é😀\ud800",
  "x".repeat(5_000),
  [],
  {},
  [[]],
  [null],
  { a: null },
  { constructor: 1, toString: 2 },
  { "": "" },
  [1, "a", {}],
  { "a.b": { c: [1] } },
  "http://a:1",
  "http://[",
  "{port} {nope}",
  SECRET_TEXT,
  `redis://u:${SECRET_TEXT}@h`,
];

const BASE = {
  proxy: { port: 1, aliases: [{ port: 5, model: "a" }], timeouts: { idle: "5m" } },
  discovery: {
    static: [{ name: "a", url: "http://a:1" }],
    process: [{ name: "b", command: ["x", "{port}"], env: { A: "b" } }],
  },
  scheduler: { classes: { batch: { priority: 1, bounds: [0, 3] } }, routes: { x: { mode: "gate", class: "batch" } } },
  tracking: { uri: "http://x:5000" },
};

/** A setting that is no secret quotes what it refuses, whole or with the mangling's own sign in it. */
function withoutQuoted(text: string): string {
  return text.replace(/'([^']*)'/g, (whole, inner: string) => (inner.replace(/\W/g, "") === SECRET_TEXT ? "" : whole));
}

t.test(`${ROUNDS} mangled configurations load or are refused with faults, and never show a secret`, async (t) => {
  const cwd = t.testdir({});
  const keys = SETTINGS.map(({ path }) => path);
  const names = SETTINGS.flatMap(({ env }) => (env === null ? [] : [env]));
  const counts = { loaded: 0, refused: 0 };
  for (let seed = 1; seed <= ROUNDS; seed++) {
    const random = randomOf(seed);
    const pick = <T>(list: readonly T[]): T => list[random(list.length)]!;
    const tree = structuredClone(BASE) as Record<string, unknown>;
    for (let changes = random(3); changes > 0; changes--) {
      const path = pick(keys).map((step) => (step === "[]" ? "0" : step === "<name>" ? "batch" : step));
      let target: Record<string, unknown> = tree;
      for (const step of path.slice(0, -1)) {
        if (typeof target[step] !== "object" || target[step] === null) target[step] = {};
        target = target[step] as Record<string, unknown>;
      }
      target[random(8) === 0 ? `${path.at(-1)}x` : path.at(-1)!] = structuredClone(pick(ODD));
    }
    let text = random(3) === 0 ? JSON.stringify(tree) : toYaml(tree);
    if (random(3) === 0) {
      const at = random(text.length);
      text =
        text.slice(0, at) +
        pick(["", "{", "]", "\t", ":", "\n", "*a", "&a ", "- ", "\u0000", "'", "---\n", "? "]) +
        text.slice(at + random(3));
    }
    writeFileSync(join(cwd, "mangled"), text);
    const value = pick(ODD);
    const env = random(3) > 0 ? {} : { [pick(names)]: typeof value === "string" ? value : JSON.stringify(value) };
    const asCmg = random(4) === 0;
    try {
      loadConfig({ cwd, env: asCmg ? { ...env, CONFIG_FILE: "mangled" } : env, ...(asCmg ? {} : { file: "mangled" }) });
      counts.loaded++;
    } catch (caught) {
      if (!(caught instanceof ConfigError)) t.fail(`seed ${seed}: ${(caught as Error).stack}`);
      else if (/hunter2/.test(withoutQuoted(caught.format()))) t.fail(`seed ${seed}: ${caught.format()}`);
      else counts.refused++;
    }
  }
  t.equal(counts.loaded + counts.refused, ROUNDS);
  t.ok(counts.loaded > 100 && counts.refused > 500, JSON.stringify(counts));
});
