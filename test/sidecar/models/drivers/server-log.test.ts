import { appendFileSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { buffer, text } from "node:stream/consumers";
import t from "tap";
import { keepServerLog, readServerLog, rotateServerLog } from "../../../../sidecar/models/drivers/server-log.js";
import { folderOf, until } from "../support.js";

const never = new AbortController().signal;
const last = async (folder: string, tail: number) =>
  text(await readServerLog(folder, { tail, follow: false, signal: never }));

t.test("the last lines are what was asked for, the unfinished one with them", async (t) => {
  const folder = folderOf(t);
  t.equal(await last(folder, 5), "", "no file, no lines");
  const path = join(folder, "server.log");
  writeFileSync(path, "one\ntwo\nthree\n");
  t.equal(await last(folder, 2), "two\nthree\n");
  t.equal(await last(folder, 0), "");
  t.equal(await last(folder, 10_000), "one\ntwo\nthree\n");
  appendFileSync(path, "fou");
  t.equal(await last(folder, 2), "three\nfou");
});

t.test("of a long past a mebibyte is read at most", async (t) => {
  const folder = folderOf(t);
  writeFileSync(join(folder, "server.log"), "x".repeat(3 * 2 ** 20));
  const past = await buffer(await readServerLog(folder, { tail: 10_000, follow: false, signal: never }));
  t.equal(past.length, 2 ** 20);
});

t.test("a followed log goes on over a rotation and ends with its signal", async (t) => {
  const folder = folderOf(t);
  const path = join(folder, "server.log");
  writeFileSync(path, `old\n${"x".repeat(200)}\nlast\n`);
  const gone = new AbortController();
  const stream = await readServerLog(folder, { tail: 1, follow: true, signal: gone.signal });
  let seen = "";
  stream.on("data", (chunk: Buffer) => {
    seen += chunk.toString();
  });
  const ended = new Promise((resolve) => stream.once("end", resolve));
  await until(() => seen === "last\n", "the past");
  appendFileSync(path, "first\n");
  await until(() => seen === "last\nfirst\n", "what comes");
  await rotateServerLog(folder, 100);
  t.equal(statSync(path).size, 0);
  appendFileSync(path, "second\n");
  await until(() => seen === "last\nfirst\nsecond\n", "what comes after the rotation");
  gone.abort();
  await ended;
});

t.test("a followed log ends with the run, its last words included", async (t) => {
  const folder = folderOf(t);
  const path = join(folder, "server.log");
  writeFileSync(path, "one\n");
  let isOver = false;
  const stream = await readServerLog(folder, { tail: 1, follow: true, signal: never }, () => isOver);
  const all = text(stream);
  await new Promise((resolve) => setTimeout(resolve, 50));
  appendFileSync(path, "two\n");
  isOver = true;
  t.equal(await all, "one\ntwo\n");
});

t.test("what a vanishing server printed is kept, the end of it, for its owner alone", async (t) => {
  const folder = join(folderOf(t), "deep/er");
  await keepServerLog(folder, Readable.from([Buffer.from("first "), Buffer.from("second "), Buffer.from("third")]), 10);
  t.equal(readFileSync(join(folder, "server.log"), "utf8"), "second third");
  t.equal(statSync(join(folder, "server.log")).mode & 0o077, 0);
  await keepServerLog(folder, Readable.from([Buffer.from("new")]));
  t.equal(await last(folder, 5), "new", "in place of what was kept before");
});
