import t from "tap";
import { decideRestart, PROVEN_AFTER_MS } from "../../cli/restart-policy.js";

const served = { livedMs: 10, wasEverReady: true, saidWhy: false };

t.test("restarts back off from at once to five seconds and never end for a part that served", async (t) => {
  const delays: number[] = [];
  let deathsBefore = 0;
  for (let death = 0; death < 40; death++) {
    const decision = decideRestart({ ...served, deathsBefore });
    if (decision.action === "give-up") throw new Error("gave up a part that had served");
    delays.push(decision.delayMs);
    deathsBefore = decision.deaths;
  }
  t.same(delays.slice(0, 9), [0, 100, 200, 400, 800, 1600, 3200, 5000, 5000]);
  t.equal(delays.at(-1), 5000);
});

t.test("a part that lived half a minute is started at once again", async (t) => {
  t.same(decideRestart({ ...served, deathsBefore: 9, livedMs: PROVEN_AFTER_MS }), {
    action: "restart",
    delayMs: 0,
    deaths: 1,
  });
  t.match(decideRestart({ ...served, deathsBefore: 9, livedMs: PROVEN_AFTER_MS - 1 }), { delayMs: 5000 });
});

t.test("a part that was never ready is given up after three tries", async (t) => {
  const fresh = { ...served, wasEverReady: false };
  t.match(decideRestart({ ...fresh, deathsBefore: 1 }), { action: "restart" });
  t.match(decideRestart({ ...fresh, deathsBefore: 2 }), { action: "give-up" });
});

t.test("a part that says why it cannot start is given up at once, but not once it has served", async (t) => {
  t.match(decideRestart({ ...served, deathsBefore: 0, wasEverReady: false, saidWhy: true }), { action: "give-up" });
  t.match(decideRestart({ ...served, deathsBefore: 0, saidWhy: true }), { action: "restart" });
});
