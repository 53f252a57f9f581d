/** The two ways to send: as fast as answers come, or at a fixed rate whatever the answers do. */
import { Connection } from "./connection.js";
import type { LoadPlan, LoadResult } from "./plan.js";
import { Tally } from "./tally.js";

/** After the end, what is under way may still be answered this long. */
const GRACE_MS = 5_000;

/** The request's bytes, one variant per body. */
function encode({ host, port, request }: LoadPlan): Uint8Array[][] {
  const head = (length: number | null) => {
    const lines = [`${request.method} ${request.path} HTTP/1.1`, `host: ${host}:${port}`];
    for (const [name, value] of Object.entries(request.headers)) lines.push(`${name}: ${value}`);
    if (length !== null) lines.push(`content-length: ${length}`);
    return Buffer.from(`${lines.join("\r\n")}\r\n\r\n`, "latin1");
  };
  if (request.bodies.length === 0) return [[head(null)]];
  return request.bodies.map((body) => {
    // Small requests leave in one write.
    if (body.length <= 64 * 1024) return [Buffer.concat([head(body.length), body])];
    return [head(body.length), body];
  });
}

export function runClosedLoop(plan: LoadPlan): Promise<LoadResult> {
  const variants = encode(plan);
  const tally = new Tally(plan, performance.now());
  let sent = 0;
  return new Promise((resolve) => {
    let running = plan.connections;
    const open = new Set<Connection>();
    const finishOne = () => {
      running--;
      if (running > 0) return;
      clearTimeout(backstop);
      for (const connection of open) connection.destroy();
      resolve(tally.result());
    };
    const backstop = setTimeout(
      () => {
        for (let n = 0; n < running; n++) tally.fail("no-answer");
        running = 1;
        finishOne();
      },
      plan.warmupMs + plan.durationMs + GRACE_MS,
    );
    const connectOne = () => {
      const connection = new Connection(plan.host, plan.port);
      open.add(connection);
      return connection;
    };
    const replace = (closed: Connection) => {
      open.delete(closed);
      return connectOne();
    };
    const next = (connection: Connection): void => {
      const sinceMs = performance.now();
      if (sinceMs >= tally.endsAtMs) {
        finishOne();
        return;
      }
      const used = connection.isOpen ? connection : replace(connection);
      used.send(variants[sent++ % variants.length]!, (outcome) => {
        tally.settle(outcome, sinceMs);
        // A refused connection is not tried again in the same turn: a dead server must not become a busy loop.
        if (outcome.kind === "broken") setTimeout(() => next(used), 10);
        else next(used);
      });
    };
    for (let n = 0; n < plan.connections; n++) next(connectOne());
  });
}

export function runOpenLoop(plan: LoadPlan, rate: number): Promise<LoadResult> {
  const variants = encode(plan);
  const startMs = performance.now();
  const tally = new Tally(plan, startMs);
  const idle: Connection[] = [];
  const due: number[] = [];
  let connections = 0;
  let underWay = 0;
  let arrived = 0;
  const total = Math.floor(((plan.warmupMs + plan.durationMs) / 1000) * rate);

  const take = (): Connection | undefined => {
    for (let free = idle.pop(); free !== undefined; free = idle.pop()) {
      if (free.isOpen) return free;
      connections--;
    }
    if (connections >= plan.connections) return undefined;
    connections++;
    return new Connection(plan.host, plan.port);
  };
  const sendDue = () => {
    while (due.length > 0) {
      const connection = take();
      if (connection === undefined) return;
      const sinceMs = due.shift()!;
      underWay++;
      connection.send(variants[arrived % variants.length]!, (outcome) => {
        underWay--;
        tally.settle(outcome, sinceMs);
        if (connection.isOpen) idle.push(connection);
        else connections--;
        sendDue();
      });
    }
  };
  return new Promise((resolve) => {
    const finish = () => {
      for (let n = 0; n < underWay + due.length; n++) tally.fail("no-answer");
      for (const connection of idle) connection.destroy();
      resolve(tally.result());
    };
    const turn = () => {
      const nowMs = performance.now();
      while (arrived < total && startMs + (arrived / rate) * 1000 <= nowMs) {
        due.push(startMs + (arrived / rate) * 1000);
        arrived++;
      }
      sendDue();
      const isDone = arrived >= total && due.length === 0 && underWay === 0;
      if (isDone || nowMs > tally.endsAtMs + GRACE_MS) return finish();
      // Timers are a millisecond coarse: the last stretch before an arrival is waited for turn by turn.
      const nextInMs = arrived < total ? startMs + (arrived / rate) * 1000 - nowMs : 5;
      if (nextInMs > 3) setTimeout(turn, nextInMs - 2);
      else setImmediate(turn);
    };
    turn();
  });
}
