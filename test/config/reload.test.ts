import { EventEmitter, once } from "node:events";
import { renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import t, { type Test } from "tap";
import { changedSettings } from "../../config/changes.js";
import { type ConfigError, type LoadedConfig, loadConfig, needsRestart } from "../../config/load.js";
import { watchConfig } from "../../config/reload.js";

const POLL_MS = 20;

/** The watch's own timer does not keep a process alive. */
function stayAlive(t: Test): void {
  const alive = setInterval(() => undefined, 1_000);
  t.teardown(() => clearInterval(alive));
}

function watched(t: Test, text: string) {
  const cwd = t.testdir({ "sluice.yaml": text });
  const file = join(cwd, "sluice.yaml");
  const options = { file, env: {}, cwd };
  const events = new EventEmitter();
  const heard: string[] = [];
  const stop = new AbortController();
  t.teardown(() => stop.abort());
  stayAlive(t);
  const watch = watchConfig({
    options,
    current: loadConfig(options),
    onReload: (loaded) => {
      heard.push("reload");
      events.emit("reload", loaded);
    },
    onRefused: (error) => {
      heard.push("refused");
      events.emit("refused", error);
    },
    signal: stop.signal,
    pollMs: POLL_MS,
  });
  return {
    file,
    heard,
    stop,
    watch,
    reload: async () => (await once(events, "reload", { signal: AbortSignal.timeout(5_000) }))[0] as LoadedConfig,
    refusal: async () => (await once(events, "refused", { signal: AbortSignal.timeout(5_000) }))[0] as ConfigError,
  };
}

t.test("an edit by rename, in place and after a removal is taken over", async (t) => {
  const { file, reload, refusal, heard } = watched(t, "log: { level: info }");
  writeFileSync(`${file}.tmp`, "log: { level: debug }");
  const renamed = reload();
  renameSync(`${file}.tmp`, file);
  t.equal((await renamed).config.log.level, "debug");
  const inPlace = reload();
  writeFileSync(file, "log: { level: warn }");
  t.equal((await inPlace).config.log.level, "warn");
  const gone = refusal();
  rmSync(file);
  t.match((await gone).message, /does not exist/);
  const back = reload();
  writeFileSync(file, "log: { level: warn }");
  t.equal((await back).config.log.level, "warn", "told although nothing changed: the refusal is over");
  t.same(heard, ["reload", "reload", "refused", "reload"]);
});

t.test("a bad edit is refused once with its reason, a later good one is taken over", async (t) => {
  const { file, reload, refusal, heard } = watched(t, "");
  const refused = refusal();
  writeFileSync(file, "log: { levle: debug }\nproxy: { port: x }");
  t.equal((await refused).faults.length, 2);
  const accepted = reload();
  writeFileSync(file, "log: { level: debug }");
  t.equal((await accepted).config.log.level, "debug");
  t.same(heard, ["refused", "reload"]);
});

t.test("an edit that changes nothing is not told, trigger always tells, stop ends it", async (t) => {
  const { file, reload, heard, watch, stop } = watched(t, "log: { level: debug }");
  writeFileSync(file, "# remark\nlog: { level: debug }");
  const asked = reload();
  watch.trigger();
  t.equal((await asked).config.log.level, "debug");
  t.same(heard, ["reload"]);
  stop.abort();
  watch.trigger();
  watch.stop();
  t.same(heard, ["reload"]);
});

t.test("an edit made between the load and the watch is seen", async (t) => {
  const cwd = t.testdir({ "sluice.yaml": "" });
  const options = { file: "sluice.yaml", env: {}, cwd };
  const current = loadConfig(options);
  writeFileSync(join(cwd, "sluice.yaml"), "log: { level: debug }");
  const level = await new Promise((resolve) => {
    const watch = watchConfig({
      options,
      current,
      onReload: ({ config }) => resolve(config.log.level),
      onRefused: resolve,
      pollMs: POLL_MS,
    });
    t.teardown(() => watch.stop());
    stayAlive(t);
  });
  t.equal(level, "debug");
});

t.test("what a reload cannot take over is named", async (t) => {
  const cwd = t.testdir({});
  const at = (flags: Record<string, unknown>) => loadConfig({ env: {}, cwd, flags }).config;
  const before = at({});
  t.same(needsRestart(before, before), []);
  const reloadable = at({
    "discovery.static": [{ name: "a", url: "http://a:1" }],
    "proxy.aliases": [{ port: 1, model: "a" }],
    "scheduler.classes": { batch: { priority: 1 } },
    "scheduler.routes": { x: { mode: "queue" } },
    "log.level": "debug",
  });
  t.same(needsRestart(before, reloadable), []);
  t.same(changedSettings(before, reloadable).sort(), [
    "discovery.static",
    "log.level",
    "proxy.aliases",
    "scheduler.classes",
    "scheduler.routes",
  ]);
  const fixed = at({ port: 1, tracking: { uri: "x" }, "proxy.timeouts.idle": 5, "log.level": "debug" });
  t.same(needsRestart(before, fixed), ["proxy.port", "proxy.timeouts.idle", "tracking"]);
});
