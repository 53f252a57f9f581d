/** Promise 5 with the whole of Sluice: order is class, then fair share, then age, and the longest wait of a lower class is bounded. */
import t, { type Test } from "tap";
import type { ConfigInput } from "../../config/schema.js";
import { type HeldServer, startHeldServer } from "../helpers/held-server.js";
import { startSluice } from "../helpers/sluice.js";

const FLOOD = 1_000;

interface Rig {
  readonly server: HeldServer;
  /** Hands in one task under this request id. */
  submit(name: string, headers?: Record<string, string>): Promise<void>;
  detail(name: string): Promise<Record<string, unknown>>;
}

/** One model with one slot. */
async function startRig(t: Test, scheduler: ConfigInput["scheduler"] = {}): Promise<Rig> {
  const server = await startHeldServer(t);
  const sluice = await startSluice(t, {
    config: {
      discovery: { static: [{ name: "m", url: server.url, concurrency: 1 }], docker: { enabled: false } },
      proxy: { timeouts: { drain: 0 } },
      scheduler,
    },
  });
  const uuids = new Map<string, string>();
  return {
    server,
    async submit(name, headers = {}) {
      const answer = await fetch(`${sluice.url}/models/m/tasks/process`, {
        method: "POST",
        headers: { "content-type": "text/plain", "x-request-id": name, ...headers },
        body: "Seen on 3 March 2021 by Dr Khan",
      });
      uuids.set(name, ((await answer.json()) as { uuid: string }).uuid);
    },
    async detail(name) {
      const answer = await fetch(`${sluice.url}/tasks/${uuids.get(name)}?detail=true&wait=60`);
      return (await answer.json()) as Record<string, unknown>;
    },
  };
}

/** Takes the one slot, then lets 1,000 tasks wait for it. */
async function flood({ submit, server }: Rig, headers: Record<string, string> = {}): Promise<void> {
  await submit("blocker", headers);
  await server.called("blocker");
  let next = 0;
  const send = async () => {
    while (next < FLOOD) await submit(`flood-${next++}`, headers);
  };
  await Promise.all(Array.from({ length: 32 }, send));
}

t.test("one tenant floods 1,000 tasks, another's single task starts after one of them at most", async (t) => {
  const rig = await startRig(t);
  await flood(rig, { "x-sluice-tenant": "flood" });
  await rig.submit("single", { "x-sluice-tenant": "single" });
  rig.server.release();
  t.match(await rig.detail("single"), { status: "succeeded", tenant: "single" });
  const at = rig.server.order.indexOf("single");
  t.ok(at <= 2, `it was call ${at} after the blocker`);
});

t.test("with the one slot taken, a later urgent task runs before 1,000 earlier ones", async (t) => {
  const rig = await startRig(t);
  await flood(rig);
  await rig.submit("urgent", { "x-sluice-priority": "0" });
  rig.server.release();
  t.match(await rig.detail("urgent"), { status: "succeeded", priority: 0 });
  t.same(rig.server.order.slice(0, 2), ["blocker", "urgent"]);
  t.equal(rig.server.most, 1);
});

t.test("under a permanent load of urgent work, the lowest class starts within its stated bound", async (t) => {
  const [ageingMs, callMs] = [1_000, 20];
  const rig = await startRig(t, { ageing: "1s" });
  rig.server.release(callMs);
  let isLoading = true;
  let sent = 0;
  const load = async () => {
    while (isLoading) {
      const name = `load-${sent++}`;
      await rig.submit(name, { "x-sluice-priority": "4" });
      await rig.detail(name);
    }
  };
  const loads = Array.from({ length: 8 }, load);
  await rig.server.called("load-0");
  await rig.submit("low", { "x-sluice-priority": "9" });
  const detail = await rig.detail("low");
  isLoading = false;
  const waitedMs = Date.parse(detail.started_at as string) - Date.parse(detail.created_at as string);
  const boundMs = (9 - 4) * ageingMs + callMs;
  t.ok(waitedMs >= 4 * ageingMs, `it let urgent work pass for ${waitedMs} ms`);
  t.ok(
    waitedMs <= boundMs + 1_000,
    `and started after ${waitedMs} ms; the bound is ${boundMs} ms and what this machine adds`,
  );
  await Promise.all(loads);
});

t.test("a deadline fires on time, however long the call before it runs", async (t) => {
  const rig = await startRig(t);
  await rig.submit("blocker");
  await rig.server.called("blocker");
  await rig.submit("late", { "x-sluice-deadline": "1" });
  const detail = await rig.detail("late");
  t.match(detail, { status: "failed", reason: "expired", started_at: null });
  const waitedMs = Date.parse(detail.finished_at as string) - Date.parse(detail.created_at as string);
  t.ok(waitedMs >= 1_000 && waitedMs < 2_500, `it expired after ${waitedMs} ms`);
  t.same(rig.server.order, ["blocker"]);
});
