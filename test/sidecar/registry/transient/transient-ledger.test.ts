import t from "tap";
import { startsInFile, TransientLedger } from "../../../../sidecar/registry/transient/transient-ledger.js";

const limits = (cacheMaxItems: number, cacheMaxBytes: number) => ({ cacheMaxItems, cacheMaxBytes });
const key = (instance: number, versionNumber: number) => ({ instance, versionNumber });
const named = ({ instance, versionNumber }: { instance: number; versionNumber: number }) =>
  `${instance}/${versionNumber}`;

function evictAll(ledger: TransientLedger, of: ReturnType<typeof limits>, uploadBytes = 0): string[] {
  const gone: string[] = [];
  for (let next = ledger.nextToEvict(of, uploadBytes); next !== null; next = ledger.nextToEvict(of, uploadBytes)) {
    gone.push(named(next));
    ledger.remove(next);
  }
  return gone;
}

t.test("above the number of items the least recently used goes, never a model's newest", async (t) => {
  const ledger = new TransientLedger();
  for (const number of [1, 2, 3, 4]) ledger.add(key(1, number), 10, "memory");
  ledger.add(key(2, 1), 10, "memory");
  ledger.touch(key(1, 1));
  t.same(evictAll(ledger, limits(3, 1_000)), ["1/2", "1/3"]);
  t.same(evictAll(ledger, limits(0, 1_000)), ["1/1"], "two newest ones stay, whatever the limit");
});

t.test("the order of use counts over all models, also for one that was newest until now", async (t) => {
  const ledger = new TransientLedger();
  ledger.add(key(1, 1), 10, "memory");
  ledger.add(key(2, 1), 10, "memory");
  ledger.add(key(2, 2), 10, "memory");
  ledger.add(key(1, 2), 10, "memory");
  t.same(evictAll(ledger, limits(3, 1_000)), ["1/1"]);
});

t.test("an archived newest version exempts nothing; one that becomes newest again is exempt again", async (t) => {
  const ledger = new TransientLedger();
  ledger.add(key(1, 1), 10, "memory");
  ledger.add(key(1, 2), 10, "memory");
  ledger.setNewest(1, 3);
  t.same(ledger.nextToEvict(limits(1, 1_000), 0), ledger.nextToEvict(limits(0, 1_000), 0));
  ledger.setNewest(1, 1);
  t.same(evictAll(ledger, limits(0, 1_000)), ["1/2"]);
});

t.test("above the bytes the least recently used go until the rest has room, uploads under way included", async (t) => {
  const ledger = new TransientLedger();
  for (const number of [1, 2, 3, 4]) ledger.add(key(1, number), 250, "memory");
  t.same(evictAll(ledger, limits(100, 1_000)), [], "exactly the limit is within it");
  t.same(evictAll(ledger, limits(100, 1_000), 251), ["1/1", "1/2"]);
  t.same(ledger.toSpill(limits(100, 1_000), 0), []);
});

t.test("newest ones that have no room together move to files, the biggest first", async (t) => {
  const ledger = new TransientLedger();
  for (const [instance, bytes] of [300, 500, 400].entries()) ledger.add(key(instance, 1), bytes, "memory");
  t.same(ledger.toSpill(limits(100, 1_000), 0).map(named), ["1/1"]);
  for (const place of ["spilling", "file"] as const) {
    ledger.move(key(1, 1), place);
    t.same(ledger.toSpill(limits(100, 1_000), 0), []);
  }
  t.same(ledger.toSpill(limits(100, 350), 0).map(named), ["2/1"]);
});

t.test("a newest one too big for memory moves to a file instead of driving out the others", async (t) => {
  const ledger = new TransientLedger();
  ledger.add(key(1, 1), 400, "memory");
  ledger.add(key(1, 2), 1_500, "memory");
  t.equal(ledger.nextToEvict(limits(100, 1_000), 0), null);
  t.same(ledger.toSpill(limits(100, 1_000), 0).map(named), ["1/2"]);
  ledger.move(key(1, 2), "file");
  ledger.add(key(1, 3), 10, "memory");
  t.same(evictAll(ledger, limits(100, 1_000)), ["1/1", "1/2"], "no longer newest it counts wherever it lies");
});

t.test("an upload goes to a file when memory is half taken by uploads, itself included", async (t) => {
  t.notOk(startsInFile(500, 0, limits(1, 1_000)));
  t.ok(startsInFile(501, 0, limits(1, 1_000)));
  t.ok(startsInFile(1, 500, limits(1, 1_000)));
});

t.test("what is not there is not evicted twice, moved or touched", async (t) => {
  const ledger = new TransientLedger();
  ledger.touch(key(1, 1));
  ledger.move(key(1, 1), "file");
  ledger.remove(key(1, 1));
  ledger.setNewest(1, 7);
  t.equal(ledger.nextToEvict(limits(0, 0), 1), null);
  t.same(ledger.toSpill(limits(0, 0), 1), []);
});
