/** Who may take a folder: judged by a process where it can be seen, else by whether the lock is touched. */
import { existsSync, readFileSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import t, { type Test } from "tap";
import { DataLock, readLock } from "../../cli/data-lock.js";
import { makeFolder } from "../helpers/folder.js";

const ELSEWHERE = { pid: process.pid, startTime: "1", place: "another boot pid:[1]", url: null };

function lockedFolder(t: Test, text: string): { folder: string; path: string; take: () => Promise<DataLock> } {
  const folder = makeFolder(t);
  const path = join(folder, "serve.lock");
  writeFileSync(path, text);
  return { folder, path, take: () => DataLock.take(folder, join(folder, "sidecar.sock")) };
}

t.test("a lock that somebody in another container keeps touching is held, whatever its pid means here", async (t) => {
  const { path, take } = lockedFolder(t, JSON.stringify(ELSEWHERE));
  const touching = setInterval(() => utimesSync(path, new Date(), new Date()), 50);
  t.teardown(() => clearInterval(touching));
  await t.rejects(take(), { message: /in use by another container or machine/ });
  t.equal(JSON.parse(readFileSync(path, "utf8")).place, ELSEWHERE.place);
});

t.test("one that nobody touches is taken over, and touched from then on", async (t) => {
  const { folder, path, take } = lockedFolder(t, JSON.stringify(ELSEWHERE));
  const lock = await take();
  t.equal(readLock(folder)?.pid, process.pid);
  t.not(readLock(folder)?.place, ELSEWHERE.place);
  const { mtimeMs } = statSync(path);
  while (statSync(path).mtimeMs === mtimeMs) await new Promise((resolve) => setTimeout(resolve, 50));
  lock.release();
  t.notOk(existsSync(path));
});

t.test("what an owner no longer holds it does not remove", async (t) => {
  const { path, take } = lockedFolder(t, "");
  const lock = await take();
  writeFileSync(path, JSON.stringify(ELSEWHERE));
  lock.release();
  t.ok(existsSync(path), "though the pid is the same");
});

t.test("a file of that name which is no lock is left as it is", async (t) => {
  const { path, take } = lockedFolder(t, "my notes");
  await t.rejects(take(), { message: /is no lock of Sluice's/ });
  t.equal(readFileSync(path, "utf8"), "my notes");
});
