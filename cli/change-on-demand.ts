/** `sluice on-demand create`, `update`, `disable` and `enable`. */
import type { DeploySpec, OnDemandConfig } from "../core/contract/model-management.js";
import { type ClientCall, type ClientFlags, openClient, withClient } from "./client.js";
import { CliError, EXIT } from "./exit.js";
import type { ConfigFlags, CreateFlags, ShowFlags, UpdateFlags } from "./model-commands.js";
import { plain } from "./terminal.js";

export async function createOnDemand(name: string, flags: CreateFlags): Promise<void> {
  const body = {
    model_name: name,
    ...settingsOf(flags),
    replace_enabled: flags.replace,
    inherit_config: flags.inherit,
  };
  await change({ method: "POST", path: "/admin/on-demand" }, body, flags, "enabled");
}

export async function updateOnDemand(name: string, flags: UpdateFlags): Promise<void> {
  const cleared = {
    clear_tracking_id: flags.clearTrackingId,
    clear_idle_ttl: flags.clearIdleTtl,
    clear_description: flags.clearDescription,
    clear_deploy: flags.clearDeploy,
  };
  const body = { ...settingsOf(flags), ...cleared };
  if (Object.values(body).every((value) => value === undefined)) {
    throw new CliError(EXIT.usage, "nothing to update; name what is to change, see --help");
  }
  await change({ method: "PUT", path: `/admin/on-demand/${encodeURIComponent(name)}` }, body, flags, "changed");
}

export async function enableOnDemand(id: number, flags: ShowFlags): Promise<void> {
  await change({ method: "POST", path: `/admin/on-demand/${id}/enable` }, null, flags, "enabled");
}

export async function disableOnDemand(name: string, flags: ClientFlags): Promise<void> {
  const path = `/admin/on-demand/${encodeURIComponent(name)}`;
  await withClient(openClient(flags), async (client) => {
    const answer = await client.call({ method: "DELETE", path });
    await answer.body.dump();
  });
  process.stdout.write(plain(`No request starts ${name} any more. Its versions: sluice on-demand history ${name}`));
  process.stdout.write("\n");
}

type Done = "enabled" | "changed";

async function change(call: ClientCall, body: object | null, flags: ShowFlags, done: Done): Promise<void> {
  const sent =
    body === null
      ? call
      : { ...call, headers: { "content-type": "application/json" }, body: Buffer.from(JSON.stringify(body)) };
  const config = await withClient(openClient(flags), (client) => client.json<OnDemandConfig>(sent));
  if (flags.json === true) process.stdout.write(`${JSON.stringify(config, null, 2)}\n`);
  else process.stdout.write(`${plain(`Version ${config.id} of ${config.model_name} is ${done}.`)}\n`);
}

function settingsOf(flags: ConfigFlags) {
  const { modelUri, trackingId, idleTtl, description, follow } = flags;
  const settings = { model_uri: modelUri, tracking_id: trackingId, idle_ttl: idleTtl, description, follow };
  return { ...settings, deploy: deployOf(flags) };
}

/** Undefined when none of its flags is given: what there is stays. */
function deployOf({ memory, cpus, reserveMemory, gpus }: ConfigFlags): DeploySpec | undefined {
  const limits = given({ memory, cpus });
  const reservations = given({ memory: reserveMemory, gpus });
  return limits === undefined && reservations === undefined
    ? undefined
    : { resources: { ...given({ limits, reservations }) } };
}

/** Without what is undefined; undefined when nothing is left. */
function given<Value extends object>(
  value: Value,
): { [Key in keyof Value]?: Exclude<Value[Key], undefined> } | undefined {
  const kept = Object.entries(value).filter(([, each]) => each !== undefined);
  return kept.length === 0 ? undefined : (Object.fromEntries(kept) as ReturnType<typeof given<Value>>);
}
