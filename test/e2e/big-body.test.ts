/** Memory does not grow with the size of a body: 2 GiB through the light path and through the queue, both ways. */
import { readFile } from "node:fs/promises";
import { type IncomingMessage, request } from "node:http";
import { Readable } from "node:stream";
import t, { type Test } from "tap";
import { startGazetteer } from "../helpers/gazetteer.js";
import { startSluice } from "../helpers/sluice.js";

const BYTES = Number(process.env.SLUICE_TEST_BIG_BYTES ?? 2 ** 31);
const GROWTH_MAX_BYTES = 64 * 2 ** 20;
const SUM_MAX_BYTES = 96 * 2 ** 20;

const server = await startGazetteer(t);
const sluice = await startSluice(t, {
  config: { discovery: { static: [{ name: "m", url: server.url }], docker: { enabled: false } } },
});

/** Resident memory of a process, in bytes. */
async function residentBytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) * 1_024;
}

/** Runs work and samples our processes meanwhile: the largest growth of each, in bytes. */
async function growthDuring(work: () => Promise<void>): Promise<Record<string, number>> {
  const { sidecar, proxies } = sluice.pids();
  const parts = { serve: sluice.pid, sidecar, proxy: proxies[0]! };
  const before = new Map<number, number>();
  const growth: Record<string, number> = {};
  for (const [name, pid] of Object.entries(parts)) {
    before.set(pid, await residentBytes(pid));
    growth[name] = 0;
  }
  const timer = setInterval(async () => {
    for (const [name, pid] of Object.entries(parts))
      growth[name] = Math.max(growth[name]!, (await residentBytes(pid)) - before.get(pid)!);
  }, 50);
  try {
    await work();
  } finally {
    clearInterval(timer);
  }
  return growth;
}

function zeros(bytes: number): Readable {
  const chunk = Buffer.alloc(256 * 1024, 120);
  let left = bytes;
  return new Readable({
    read() {
      if (left === 0) return void this.push(null);
      const size = Math.min(left, chunk.length);
      left -= size;
      this.push(size === chunk.length ? chunk : chunk.subarray(0, size));
    },
  });
}

/** Sends a body of this size and returns the answer with its length, its bytes read and dropped. */
function exchange(
  path: string,
  misbehave: string,
  bytes: number,
): Promise<{ status: number; received: number; text: string }> {
  return new Promise((resolve, reject) => {
    const req = request(`${sluice.url}/models/m${path}`, {
      method: "POST",
      headers: { "content-type": "application/json", "content-length": String(bytes), "x-misbehave": misbehave },
    });
    req.on("error", reject);
    req.on("response", (answer: IncomingMessage) => {
      let received = 0;
      let text = "";
      answer.on("data", (chunk: Buffer) => {
        received += chunk.length;
        if (received < 100_000) text += chunk;
      });
      answer.on("error", reject);
      answer.on("end", () => resolve({ status: answer.statusCode!, received, text }));
    });
    zeros(bytes).pipe(req);
  });
}

/** Warms code and pools, so that growth is the body's and not the first request's. */
await exchange("/process", "echo", 1_000_000);
await exchange("/process_bulk", "echo", 1_000_000);

for (const [path, name] of [
  ["/process", "light path"],
  ["/process_bulk", "queue"],
] as const) {
  t.test(`a request body of ${BYTES} bytes through the ${name}`, { timeout: 180_000 }, async (t) => {
    let answer: Awaited<ReturnType<typeof exchange>> | undefined;
    const growth = await growthDuring(async () => {
      answer = await exchange(path, "echo", BYTES);
    });
    t.equal(answer?.status, 200);
    const seen = JSON.parse(answer!.text) as Record<string, unknown>;
    t.match(JSON.stringify(seen), new RegExp(`${BYTES}`), "the model server counted every byte");
    checkGrowth(t, growth);
  });

  t.test(`an answer of ${BYTES} bytes through the ${name}`, { timeout: 180_000 }, async (t) => {
    let answer: Awaited<ReturnType<typeof exchange>> | undefined;
    const growth = await growthDuring(async () => {
      answer = await exchange(path, `big=${BYTES}`, 10);
    });
    t.equal(answer?.status, 200);
    t.equal(answer?.received, BYTES);
    checkGrowth(t, growth);
  });
}

function checkGrowth(t: Test, growth: Record<string, number>): void {
  for (const [name, bytes] of Object.entries(growth))
    t.ok(bytes < GROWTH_MAX_BYTES, `${name} grew by ${(bytes / 2 ** 20).toFixed(1)} MiB`);
  const sum = Object.values(growth).reduce((total, each) => total + each, 0);
  t.ok(sum < SUM_MAX_BYTES, `together by ${(sum / 2 ** 20).toFixed(1)} MiB`);
}
