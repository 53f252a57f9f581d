import t from "tap";
import type { ContainerDetails } from "../../../../sidecar/models/docker-client.js";
import { cleanWords, DockerFault, faultOf } from "../../../../sidecar/models/docker-fault.js";
import {
  describeEnd,
  type EndHints,
  isAboutToStart,
  isMatching,
  isOurs,
  pinnedAlone,
} from "../../../../sidecar/models/drivers/container-state.js";
import { describeStartFault } from "../../../../sidecar/models/drivers/docker-start-fault.js";
import { configOf } from "../support.js";
import { modelOf } from "./docker-rig.js";

const LABELS = {
  "com.docker.compose.project": "cms",
  "com.docker.compose.service": "m",
  "org.cogstack.model-serve.uri": "models:/medcat/1",
  "org.cogstack.model-gateway.managed-by": "cmg",
};
const details = (state: Partial<ContainerDetails["State"]> = {}, more: Partial<ContainerDetails> = {}) =>
  ({
    Id: "id",
    Created: "2026-01-01T00:00:00Z",
    State: {
      Status: "exited",
      Running: false,
      Paused: false,
      OOMKilled: false,
      ExitCode: 0,
      StartedAt: "2026-01-01T00:00:00Z",
      ...state,
    },
    Config: { Image: "x", Labels: LABELS },
    HostConfig: { Memory: 0 },
    NetworkSettings: { Networks: {} },
    ...more,
  }) satisfies ContainerDetails;
const HINTS: EndHints = { wasAway: false, wasKilledByHand: false, wasOutOfMemory: false };

t.test("why a container ended is told as far as it is known, and no further", async (t) => {
  const limited = { HostConfig: { Memory: 512 * 2 ** 20 } };
  t.equal(describeEnd(details({ OOMKilled: true }, limited), HINTS), "ran out of memory (limit 512 MiB)");
  t.equal(describeEnd(details({ OOMKilled: true }), HINTS), "ran out of memory");
  const child = { ...HINTS, wasOutOfMemory: true };
  t.equal(describeEnd(details({ ExitCode: 1 }, limited), child), "ran out of memory (limit 512 MiB)");
  t.equal(describeEnd(details(), HINTS), "exited with code 0");
  t.equal(describeEnd(details({ ExitCode: 3 }), HINTS), "exited with code 3");
  t.equal(describeEnd(details({ ExitCode: 139 }), HINTS), "was killed by SIGSEGV");
  t.match(describeEnd(details({ ExitCode: 137 }), HINTS), /^was killed by SIGKILL, by somebody or for want of memory/);
  const byHand = { ...HINTS, wasKilledByHand: true };
  t.equal(describeEnd(details({ ExitCode: 143 }), byHand), "was stopped by an operator (SIGTERM)");
  t.equal(describeEnd(details({ ExitCode: 7 }), byHand), "was stopped by an operator (code 7)");
  const away = { ...byHand, wasAway: true };
  t.equal(describeEnd(details({ ExitCode: 255 }), away), "ended while the Docker daemon was away (code 255)");
});

t.test("ours is what carries our labels and this model's name", async (t) => {
  const config = configOf({});
  t.ok(isOurs(details(), "m", config));
  t.notOk(isOurs(details(), "n", config));
  t.notOk(isOurs(details(), "m", configOf({ cms: { project_name: "other" } })));
  t.notOk(isOurs(details(), "m", configOf({ labels: { managed_by_value: "us" } })));
  t.ok(isMatching(details(), modelOf("m"), config));
  t.notOk(isMatching(details(), modelOf("m", { modelUri: "models:/medcat/2" }), config));
});

t.test(
  "any version of the registry's model matches what leaves it open; a start that has its version takes no other",
  async (t) => {
    const config = configOf({});
    const given = details();
    const Labels = { ...given.Config.Labels, "org.cogstack.model-serve.uri": "sluice://medcat/3" };
    const third = { ...given, Config: { ...given.Config, Labels } };
    const open = modelOf("m", { modelUri: "sluice://medcat/latest", follow: null });
    t.ok(isMatching(third, open, config));
    t.notOk(isMatching(third, modelOf("m", { modelUri: "sluice://medcat/2" }), config));
    t.notOk(isMatching(given, open, config), "of another scheme");
    const pinned = (versionNumber: number) => ({
      ...open,
      pinned: { modelUri: `sluice://medcat/${versionNumber}`, modelId: "medcat", versionNumber },
    });
    t.ok(isMatching(third, pinnedAlone(pinned(3)), config));
    t.notOk(isMatching(third, pinnedAlone(pinned(4)), config));
    t.equal(pinnedAlone(open), open);
  },
);

t.test("one made lately may be about to start; an old one was forgotten", async (t) => {
  const created = details({ Status: "created" });
  const at = Date.parse(created.Created);
  t.ok(isAboutToStart(created, at + 29_000));
  t.notOk(isAboutToStart(created, at + 31_000));
  t.notOk(isAboutToStart(details({ Status: "exited" }), at));
});

t.test("the daemon's words lose credentials, queries and line breaks", async (t) => {
  t.equal(cleanWords('Get "https://u:p@reg/v2/x?scope=s&token=t": no\n such'), 'Get "https://reg/v2/x": no such');
  t.equal(cleanWords("x".repeat(1_000)).length, 300);
});

t.test("whatever the client library throws becomes one kind of fault", async (t) => {
  t.match(faultOf({ statusCode: 404, json: { message: "none" } }), { kind: "absent", message: "none" });
  t.match(faultOf({ statusCode: 409 }), { kind: "conflict" });
  t.match(faultOf({ statusCode: 304 }), { kind: "unchanged" });
  t.match(faultOf({ statusCode: 500, json: { message: "no" } }), { kind: "refused" });
  for (const cause of [Object.assign(new Error("x"), { code: "ECONNREFUSED" }), new Error("odd"), null]) {
    t.match(faultOf(cause), { kind: "away", message: "the Docker daemon does not answer" });
  }
  const fault = new DockerFault("refused", "no");
  t.equal(faultOf(fault), fault);
});

t.test("a refusal tells a caller what to do; words that may hold anything stay in the log", async (t) => {
  const say = (message: string) =>
    describeStartFault(new DockerFault("refused", message), { image: "i", config: configOf({}) });
  t.match(say("network x not found"), /'cogstack-model-serve_cms' does not exist/);
  t.match(say('OCI runtime create failed: exec: "/.venv/bin/python": stat: no such file'), /image 'i' cannot run/);
  t.match(say('could not select device driver "" with capabilities: [[gpu]]'), /no GPU/);
  t.match(say("Minimum memory limit allowed is 6MB"), /memory limits/);
  t.match(say("Range of CPUs is from 0.01 to 2.00"), /processor limit/);
  t.match(say("write /x: no space left on device"), /disk space/);
  t.equal(say("secret words"), "Docker refused to start it; the sidecar's log has its words");
});
