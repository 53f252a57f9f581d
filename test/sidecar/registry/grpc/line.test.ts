import t from "tap";
import { Line } from "../../../../sidecar/registry/grpc/line.js";

const never = new AbortController().signal;

t.test("so many are in at a time, the others come in order", async (t) => {
  const line = new Line(2);
  const came: number[] = [];
  const leaves: (() => void)[] = [];
  const all = Array.from({ length: 5 }, async (_, i) => {
    leaves.push((await line.enter(never))!);
    came.push(i);
  });
  await all[1];
  t.strictSame(came, [0, 1]);
  leaves[0]!();
  leaves[0]!();
  await all[2];
  t.strictSame(came, [0, 1, 2], "leaving twice lets in one");
  leaves[1]!();
  leaves[2]!();
  await Promise.all(all);
  t.strictSame(came, [0, 1, 2, 3, 4]);
});

t.test("who goes while waiting takes no place", async (t) => {
  const line = new Line(1);
  const leave = await line.enter(never);
  const goes = new AbortController();
  const gone = line.enter(goes.signal);
  const stays = line.enter(never);
  goes.abort();
  t.equal(await gone, null);
  leave!();
  t.ok(await stays);
  t.equal(await new Line(1).enter(goes.signal), null);
});
