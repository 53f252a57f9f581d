import { mkdirSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import t, { type Test } from "tap";
import { systemClock } from "../../../core/runtime/clock.js";
import { DailyFile, dailyPath, dayOf } from "../../../core/runtime/daily-file.js";
import { createLogger } from "../../../core/runtime/logger.js";

/** New York's midnight is 05:00 in UTC in winter. */
process.env.TZ = "America/New_York";
const BEFORE = Date.parse("2026-01-31T04:59:59.900Z");
const AFTER = Date.parse("2026-01-31T05:00:00.000Z");

interface Told {
  readonly problem: string | null;
  readonly droppedLines: number;
}

async function openAt(t: Test, path: string) {
  const time = { now: BEFORE };
  const told: Told[] = [];
  const file = await DailyFile.open({
    path,
    clock: { now: () => time.now, sleep: systemClock.sleep },
    onState: (state) => told.push(state),
    retryMs: 20,
  });
  t.teardown(() => file.close());
  return { file, time, told };
}

t.test("each day of this machine's calendar has its own file, begun by its first line", async (t) => {
  const dir = t.testdir({});
  const { file, time } = await openAt(t, join(dir, "logs", "registry.log"));
  const logger = createLogger({
    level: "info",
    format: "json",
    process: "registry",
    write: (line) => file.write(line),
  });
  logger.info({ event: "one" }, "before midnight");
  time.now = AFTER;
  logger.info({ event: "two" }, "after midnight");
  logger.debug({ event: "three" }, "too quiet");
  await file.close();
  const logs = join(dir, "logs");
  t.same(readdirSync(logs), ["registry_2026-01-30.log", "registry_2026-01-31.log"]);
  const eventsOf = (name: string) =>
    readFileSync(join(logs, name), "utf8")
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line).event);
  t.same(eventsOf("registry_2026-01-30.log"), ["one"]);
  t.same(eventsOf("registry_2026-01-31.log"), ["two"]);
});

t.test("a file that is there is continued, and a new one is for the operator and the group alone", async (t) => {
  const dir = t.testdir({ "registry_2026-01-30.log": "old\n" });
  const before = process.umask(0o022);
  t.teardown(() => process.umask(before));
  const { file, time } = await openAt(t, join(dir, "registry.log"));
  file.write("new\n");
  time.now = AFTER;
  file.write("next day\n");
  await file.close();
  t.equal(readFileSync(join(dir, "registry_2026-01-30.log"), "utf8"), "old\nnew\n");
  t.equal(statSync(join(dir, "registry_2026-01-31.log")).mode & 0o777, 0o640);
});

t.test("a name without an ending gets its date at the end", async (t) => {
  t.equal(dailyPath("/var/log/registry", "2026-01-31"), "/var/log/registry_2026-01-31");
  t.equal(dailyPath("registry.tar.log", "2026-01-31"), "registry.tar_2026-01-31.log");
  t.equal(dayOf(BEFORE), "2026-01-30");
  t.equal(dayOf(AFTER), "2026-01-31");
});

t.test("a file that cannot be written to is refused when it is opened", async (t) => {
  const dir = t.testdir({ taken: "a file" });
  await t.rejects(openAt(t, join(dir, "taken", "registry.log")), { code: /EEXIST|ENOTDIR/ });
  mkdirSync(join(dir, "registry_2026-01-30.log"));
  await t.rejects(openAt(t, join(dir, "registry.log")), { code: "EISDIR" });
});

t.test(
  "while the disk takes no lines they are kept within bounds, then written in order, and it is said once",
  async (t) => {
    const dir = t.testdir({});
    const { file, time, told } = await openAt(t, join(dir, "registry.log"));
    // The next day's file cannot be made.
    mkdirSync(join(dir, "registry_2026-01-31.log"));
    time.now = AFTER;
    const line = `${"x".repeat(1_023)}\n`;
    for (let count = 0; count < 5_000; count++) file.write(line);
    while (told.length === 0) await systemClock.sleep(5);
    file.write("last\n");
    rmSync(join(dir, "registry_2026-01-31.log"), { recursive: true });
    while (told.length < 2) await systemClock.sleep(5);
    t.match(told, [
      { problem: "EISDIR", droppedLines: 904 },
      { problem: null, droppedLines: 905 },
    ]);
    await file.close();
    t.equal(readFileSync(join(dir, "registry_2026-01-31.log"), "utf8").split("\n").length - 1, 4_096);
    file.write("after the end\n");
    t.notMatch(readFileSync(join(dir, "registry_2026-01-31.log"), "utf8"), "after the end");
  },
);

t.test("text is for a person, without colours in a file", async (t) => {
  const lines: string[] = [];
  const logger = createLogger({
    level: "warn",
    format: "text",
    process: "registry",
    write: (line) => lines.push(line),
  });
  logger.warn({ event: "x" }, "look");
  logger.info({ event: "y" }, "quiet");
  t.match(lines.join(""), /^\d\d:\d\d:\d\d\.\d{3} warn {2}registry: look {2}event=x\n$/);
});
