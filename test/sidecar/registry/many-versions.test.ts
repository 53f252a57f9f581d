/** Long lists: a page costs what is on it, however much there is. */
import { join } from "node:path";
import t from "tap";
import { openForWriting } from "../../../sidecar/db/open.js";
import { makeFolder } from "../../helpers/folder.js";
import { numbers, openRig, push, putModel, startRig } from "./local-rig.js";

const VERSIONS = 100_000;
/** Of the processor's time, for a page of a hundred: most take a few tenths of a millisecond. */
const MAX_PAGE_MS = 20;

/** Rows alone: their files are not asked for. */
function fill(file: string): void {
  const db = openForWriting(file);
  db.exec(`
    WITH RECURSIVE each(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM each WHERE n < ${VERSIONS})
    INSERT INTO versions (instance, number, creation_timestamp, data_hash, data_bytes, user_data)
      SELECT 1, n, '1700000000000000000', 'jY0g3VkUK62ILPr2JuaW5g7uQi0EcJVZJu8IYp3yfhI=', 14, '{"epoch":"' || n || '"}' FROM each;
    UPDATE models SET next_number = ${VERSIONS + 1} WHERE instance = 1;
    WITH RECURSIVE each(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM each WHERE n < ${VERSIONS})
    INSERT INTO models (model_id, user_data) SELECT printf('m%06d', n), '{}' FROM each;
  `);
  db.close();
}

t.test("100,000 versions and 100,000 models are listed in short slices, and found at once", async (t) => {
  const dataDir = makeFolder(t);
  const first = await startRig(dataDir);
  await putModel(first.registry, "foo");
  await first.close();
  fill(join(dataDir, "registry.db"));
  const { registry } = await openRig(t, { dataDir });
  for (let each = 0; each < 3; each++) await push(registry, "foo", "x", { archived: false });

  const times: number[] = [];
  const timed = <Value>(work: () => Value): Value => {
    const before = process.cpuUsage();
    const value = work();
    const { user, system } = process.cpuUsage(before);
    times.push((user + system) / 1_000);
    return value;
  };
  let listed = 0;
  for (let from = 1; ; ) {
    const page = timed(() => registry.versions("foo", { from, limit: 100 }));
    if (page.length === 0) break;
    listed += page.length;
    from = page.at(-1)!.versionNumber + 1;
  }
  t.equal(listed, VERSIONS + 3);
  for (let skip = 0; skip <= VERSIONS; skip += 10_000) {
    t.ok(timed(() => registry.models({ skip, limit: 100 })).length > 0);
  }
  for (const number of [1, 77_777, -1, -100_003]) timed(() => registry.version("foo", number));
  t.same(numbers([registry.latest("foo")!]), [VERSIONS + 3]);
  times.sort((one, other) => one - other);
  const at = (share: number) => times[Math.floor((times.length - 1) * share)]!;
  t.ok(at(1) < MAX_PAGE_MS, `of ${times.length} calls: median ${at(0.5)} ms, longest ${at(1)} ms`);
});
