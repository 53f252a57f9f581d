/** `sluice models deploy`, `remove`, `start` and `stop`. */
import type { Deployed } from "../core/contract/model-management.js";
import { type ClientFlags, openClient, type SluiceClient, withClient } from "./client.js";
import { CliError, EXIT } from "./exit.js";
import { onInterrupt } from "./interrupt.js";
import type { AwaitFlags, DeployFlags, ShowFlags } from "./model-commands.js";
import type { ModelState } from "./models.js";
import { formatSeconds, plain } from "./terminal.js";
import { waitUntilReady } from "./wait-for-model.js";

/** Fetching an image or draining takes its time. */
const SILENCE_MS = 15 * 60_000;

const JSON_BODY = { "content-type": "application/json" };

export async function deployModel(name: string, flags: DeployFlags): Promise<void> {
  if (flags.modelUri === undefined && flags.trackingId === undefined) {
    throw new CliError(EXIT.usage, "name the model: --model-uri URI, or --tracking-id RUN");
  }
  requireWait(flags);
  const signal = onInterrupt();
  await withClient(openClient(flags), async (client) => {
    const asked = { model_uri: flags.modelUri, tracking_id: flags.trackingId, ttl: flags.ttl };
    const deployed = await uninterrupted(signal, `the deployment of ${name} may go on`, () =>
      client.json<Deployed>({
        method: "POST",
        path: `/models/${encodeURIComponent(name)}`,
        headers: JSON_BODY,
        body: Buffer.from(JSON.stringify(asked)),
        silenceMs: SILENCE_MS,
        signal,
      }),
    );
    if (flags.wait === true) await waitUntilReady(client, name, { timeoutMs: flags.timeout ?? null, signal });
    if (flags.json === true) return say(deployed);
    const { container_id, ttl } = deployed;
    const until = ttl === -1 ? "until it is removed" : `for ${formatSeconds(ttl)}`;
    const state = flags.wait === true ? "is ready" : "starts";
    tell(`${name} ${state}, ${until} (${container_id.slice(0, 20)}).`);
    if (flags.wait !== true) advise(`How it goes: sluice models watch ${name}`);
  });
}

export async function removeModel(name: string, flags: ClientFlags & { force?: boolean }): Promise<void> {
  const path = `/models/${encodeURIComponent(name)}?force=${flags.force === true}`;
  const isStillThere = await withClient(openClient(flags), async (client) => {
    const answer = await client.call({ method: "DELETE", path, silenceMs: SILENCE_MS });
    await answer.body.dump();
    return isThere(client, name);
  });
  if (!isStillThere) return tell(`${name} is removed.`);
  tell(`${name} is stopped; a request may start it again.`);
  advise(`Where its on-demand configuration is to go too: sluice on-demand disable ${name}`);
}

/** What a configuration names stays when its server is removed. */
async function isThere(client: SluiceClient, name: string): Promise<boolean> {
  try {
    await client.json<ModelState>({ path: `/admin/models/${encodeURIComponent(name)}` });
    return true;
  } catch (caught) {
    if (caught instanceof CliError && caught.status === 404) return false;
    throw caught;
  }
}

export async function startModel(name: string, flags: AwaitFlags): Promise<void> {
  requireWait(flags);
  const signal = onInterrupt();
  await withClient(openClient(flags), async (client) => {
    let state = await operate(client, name, "start");
    if (flags.wait === true) {
      await waitUntilReady(client, name, { timeoutMs: flags.timeout ?? null, signal });
      state = await client.json<ModelState>({ path: `/admin/models/${encodeURIComponent(name)}`, signal });
    }
    if (flags.json === true) return say(state);
    tell(state.state === "ready" ? `${name} is ready.` : `${name} is ${state.state}.`);
    if (state.state !== "ready") advise(`How it goes: sluice models watch ${name}`);
  });
}

export async function stopModel(name: string, flags: ShowFlags): Promise<void> {
  const state = await withClient(openClient(flags), (client) => operate(client, name, "stop"));
  if (flags.json === true) say(state);
  else tell(`${name} is stopped; the next request starts it again.`);
}

function operate(client: SluiceClient, name: string, operation: "start" | "stop"): Promise<ModelState> {
  const path = `/admin/models/${encodeURIComponent(name)}/${operation}`;
  return client.json<ModelState>({ method: "POST", path, silenceMs: SILENCE_MS });
}

/** A bound on a wait that was not asked for is a mistake: the command would end at once. */
function requireWait({ wait, timeout }: AwaitFlags): void {
  if (timeout !== undefined && wait !== true) throw new CliError(EXIT.usage, "--timeout bounds --wait; name both");
}

async function uninterrupted<T>(signal: AbortSignal, message: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (caught) {
    if (!signal.aborted) throw caught;
    throw new CliError(EXIT.interrupted, `stopped waiting; ${message}`, { hint: "See: sluice models list" });
  }
}

function say(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
}

function tell(text: string): void {
  process.stdout.write(`${plain(text)}\n`);
}

/** For a person, not for a program. */
function advise(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`${plain(text)}\n`);
}
