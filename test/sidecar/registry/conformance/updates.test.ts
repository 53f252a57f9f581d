import t from "tap";
import { startRegistry } from "../grpc-rig.js";

t.test("VersionUpdate", async (t) => {
  const { client, server } = await startRegistry(t);
  const watching = async (count: number) => {
    while (server.open.watchers !== count) await new Promise(setImmediate);
  };

  for (const id of ["bar", "", "..", "a/b", "x\0"]) {
    await t.test(`of the unknown model ${JSON.stringify(id)}: INVALID_ARGUMENT`, async (t) => {
      const { code, details } = await client.watch(id).ended;
      t.equal(code, "INVALID_ARGUMENT");
      t.equal(details, `unknown model id [${id === "x\0" ? "x\\u0000" : id}]`);
    });
  }

  await t.test("of a model without versions: nothing until the first one", async (t) => {
    await client.createModel("foo");
    const watch = client.watch("foo");
    await watching(1);
    t.strictSame(watch.seen, []);
    const info = await client.createVersion({ model_id: "foo", archived: true, user_data: { k: "v" } }, "x");
    await watch.until(1);
    t.strictSame(watch.seen, [info]);
    watch.cancel();
    await watching(0);
  });

  await t.test("says the newest at once, then each newer one, archived or not", async (t) => {
    const watch = client.watch("foo");
    await watch.until(1);
    for (const archived of [false, true, false]) {
      const { version_number: number } = await client.createVersion({ model_id: "foo", archived }, "x");
      await watch.until(number);
    }
    t.strictSame(watch.numbers, [1, 2, 3, 4]);
    watch.cancel();
    await watching(0);
  });

  await t.test("says nothing of other models", async (t) => {
    await client.createModel("other");
    const watch = client.watch("foo");
    await watch.until(4);
    await client.createVersion({ model_id: "other" }, "x");
    await client.createVersion({ model_id: "foo" }, "x");
    await watch.until(5);
    t.strictSame(watch.numbers, [4, 5]);
    watch.cancel();
    await watching(0);
  });

  await t.test("numbers only grow, and the newest always comes, however many are made at once", async (t) => {
    const watches = Array.from({ length: 5 }, () => client.watch("foo"));
    await watching(5);
    await Promise.all(Array.from({ length: 40 }, () => client.createVersion({ model_id: "foo" }, "x")));
    for (const watch of watches) {
      await watch.until(45);
      t.strictSame(
        watch.numbers,
        [...new Set(watch.numbers)].sort((a, b) => a - b),
      );
      watch.cancel();
    }
    await watching(0);
  });

  await t.test("a model that is deleted ends its streams with NOT_FOUND, and no others", async (t) => {
    const [watch, other] = [client.watch("foo"), client.watch("other")];
    await other.until(1);
    await watch.until(45);
    await client.call("DeleteModel", { model_id: "foo" });
    t.strictSame(await watch.ended, { code: "NOT_FOUND", details: 'no model "foo" found' });
    await client.createVersion({ model_id: "other" }, "x");
    await other.until(2);
    other.cancel();
    await watching(0);
  });

  await t.test("a model made again is watched from 1 on", async (t) => {
    await client.createModel("foo");
    const watch = client.watch("foo");
    await watching(1);
    await client.createVersion({ model_id: "foo" }, "x");
    await watch.until(1);
    t.strictSame(watch.numbers, [1]);
    watch.cancel();
    await watching(0);
  });

  await t.test("a client that goes is forgotten without waiting for a version", async (t) => {
    const watches = Array.from({ length: 20 }, () => client.watch("foo"));
    await watching(20);
    for (const watch of watches) watch.cancel();
    await watching(0);
    t.equal(server.open.calls, 0);
  });
});

t.test("no wake-up is lost between the first look and the wait", async (t) => {
  const { client } = await startRegistry(t);
  await client.createModel("foo");
  for (let number = 1; number <= 60; number++) {
    const made = client.createVersion({ model_id: "foo" }, "x");
    const watch = client.watch("foo");
    await made;
    await watch.until(number);
    watch.cancel();
  }
  t.pass("every watcher heard of the version made while it came");
});
