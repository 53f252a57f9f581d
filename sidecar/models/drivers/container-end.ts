/** The end of a container, whatever state it is in and whoever else is ending it at the same time. */
import type { Clock } from "../../../core/runtime/clock.js";
import type { ContainerDetails, DockerClient } from "../docker-client.js";
import { DockerFault, faultOf } from "../docker-fault.js";

/** From SIGTERM to SIGKILL. */
export const STOP_GRACE_MS = 10_000;
const REMOVAL_LOOKS = 40;
const LOOK_MS = 250;

export interface ContainerEnd {
  readonly docker: DockerClient;
  readonly clock: Pick<Clock, "sleep">;
  /** From asking its program to end until it is killed; whole seconds, rounded down. */
  readonly graceMs: number;
  /** Called between its end and its removal. */
  readonly ended?: (id: string) => Promise<void>;
}

/** Stops and removes it; resolves when it is gone. @throws DockerFault `away`, `refused` */
export async function endContainer({ Id, State }: ContainerDetails, options: ContainerEnd): Promise<void> {
  const { docker, clock, graceMs, ended } = options;
  // A paused program hears no signal.
  if (State.Paused) await unlessDone(docker.unpause(Id));
  if (State.Running) await unlessDone(docker.stop(Id, Math.floor(graceMs / 1_000)));
  await ended?.(Id);
  await unlessDone(docker.remove(Id));
  // It may be somebody else who removes it.
  for (let round = 0; (await docker.inspect(Id)) !== null; round++) {
    if (round === REMOVAL_LOOKS) throw new DockerFault("refused", "a container goes on being removed");
    await clock.sleep(LOOK_MS);
  }
}

/** Somebody else did it, or it is not there any more: both are as good. */
async function unlessDone(work: Promise<void>): Promise<void> {
  await work.catch((cause) => {
    if (!["unchanged", "absent", "conflict"].includes(faultOf(cause).kind)) throw cause;
  });
}
