/** Why Docker did not start a container, in words for a caller: what was wrong and what to do. Pure. */
import type { Config } from "../../../config/schema.js";
import { networkOf } from "../discovery/containers.js";
import type { DockerFault } from "../docker-fault.js";

export interface StartedAs {
  readonly image: string;
  readonly config: Config;
}

/** The daemon's own words for what has no number of its own; all others stay in the sidecar's log. */
const WORDS: readonly (readonly [RegExp, (started: StartedAs) => string])[] = [
  [/could not select device driver|nvidia|gpu/i, () => "its machine has no GPU that Docker can give it"],
  [
    /network .*not found|could not find .*network/i,
    ({ config }) => `the Docker network '${networkOf(config)}' does not exist; create it or set cms.network`,
  ],
  [
    /exec: |executable file not found|exec format error/i,
    ({ image, config }) => `its image '${image}' cannot run '${config.cms.command[0]}'; see cms.command`,
  ],
  [
    /minimum memory limit|memory.*(limit|reservation)/i,
    () => "Docker does not take its memory limits; see its deploy settings",
  ],
  [/nanocpus|cpus/i, () => "Docker does not take its processor limit; see its deploy settings"],
  [/volume|mount|bind source/i, () => "Docker cannot mount its volumes; see cms.volumes"],
  [/no space left/i, () => "Docker has no disk space left"],
];

export function describeStartFault(fault: DockerFault, started: StartedAs): string {
  if (fault.kind === "away") return fault.message;
  const [, describe] = WORDS.find(([pattern]) => pattern.test(fault.message)) ?? [];
  return describe?.(started) ?? "Docker refused to start it; the sidecar's log has its words";
}
