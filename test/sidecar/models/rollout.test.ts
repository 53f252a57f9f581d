import t from "tap";
import { MODEL_STATES } from "../../../core/contract/models.js";
import { goesBack, planRollout, type RolloutFacts, versionToStart } from "../../../sidecar/models/rollout.js";

const AT_ONE: RolloutFacts = {
  wanted: "two",
  failed: null,
  current: { state: "ready", uri: "one" },
  candidate: null,
  isTraining: false,
  isHeld: true,
  room: { kind: "beside" },
};
const two = (state: RolloutFacts["current"]["state"], problem: string | null = null) => ({
  uri: "two",
  state,
  problem,
});

const TABLE: readonly (readonly [what: string, facts: Partial<RolloutFacts>, step: object])[] = [
  ["a new version is started beside", {}, { do: "start", uri: "two" }],
  ["also beside one that cannot be reached now", { current: { state: "unreachable", uri: "one" } }, { do: "start" }],
  ["what runs without any version takes the first", { current: { state: "ready", uri: null } }, { do: "start" }],
  ["the wanted one runs", { wanted: "one" }, { do: "rest" }],
  ["nothing is followed, or it means nothing", { wanted: null }, { do: "rest" }],
  ["the wanted one was given up", { failed: "two" }, { do: "rest" }],
  ["another one was given up", { failed: "zero" }, { do: "start" }],
  ["a training is under way", { isTraining: true }, { do: "wait", why: /training/ }],
  ["there is no room now", { room: { kind: "later", why: "busy" } }, { do: "wait", why: "busy" }],
  ["there is no room for two, and it is in use", { room: { kind: "alone" } }, { do: "wait", why: /in use/ }],
  ["there is no room for two", { room: { kind: "alone" }, isHeld: false }, { do: "stop-first", uri: "two" }],
  ["a training comes before that", { room: { kind: "alone" }, isHeld: false, isTraining: true }, { do: "wait" }],
  ["the new one starts", { candidate: two("starting") }, { do: "rest" }],
  ["the new one is ready", { candidate: two("ready") }, { do: "switch" }],
  [
    "ready while a training is under way",
    { candidate: two("ready"), isTraining: true },
    { do: "wait", why: /training/ },
  ],
  ["a newer one came meanwhile", { candidate: two("ready"), wanted: "three" }, { do: "abandon" }],
  ["nothing is wanted any more", { candidate: two("starting"), wanted: null }, { do: "abandon" }],
  [
    "the present one has it by now",
    { candidate: two("starting"), current: { state: "ready", uri: "two" } },
    { do: "abandon" },
  ],
  ["the new one failed", { candidate: two("failed", "no") }, { do: "give-up", uri: "two", why: "no" }],
  ["failed, and no longer wanted", { candidate: two("failed"), wanted: "three" }, { do: "abandon" }],
  ["the present one died", { candidate: two("starting"), current: { state: "absent", uri: "one" } }, { do: "switch" }],
  ["it is being stopped", { candidate: two("ready"), current: { state: "draining", uri: "one" } }, { do: "wait" }],
];

for (const [what, facts, step] of TABLE) {
  t.test(what, async (t) => t.match(planRollout({ ...AT_ONE, ...facts }), step));
}

t.test("a model that does not run, or is only starting, is left alone", async (t) => {
  for (const state of MODEL_STATES) {
    if (state === "ready" || state === "unreachable") continue;
    t.match(planRollout({ ...AT_ONE, current: { state, uri: "one" } }), { do: "rest" }, state);
  }
});

t.test("a server is never changed under a training, whatever else is", async (t) => {
  for (const state of MODEL_STATES) {
    for (const candidate of [null, ...MODEL_STATES.map((each) => two(each))]) {
      const step = planRollout({
        ...AT_ONE,
        isTraining: true,
        isHeld: false,
        current: { state, uri: "one" },
        candidate,
      });
      const isDown = state === "absent" || state === "failed";
      t.ok(isDown || !["switch", "stop-first"].includes(step.do), `${state} ${candidate?.state}`);
    }
  }
});

t.test("a start takes the wanted version, or the last good one where that was given up", async (t) => {
  t.equal(versionToStart({ wanted: "two", failed: null, kept: "one" }), "two");
  t.equal(versionToStart({ wanted: "two", failed: "two", kept: "one" }), "one");
  t.equal(versionToStart({ wanted: "two", failed: "two", kept: null }), "two");
  t.equal(versionToStart({ wanted: null, failed: null, kept: "one" }), null);
});

t.test("a failed start goes back to the last good version, never from it", async (t) => {
  t.ok(goesBack("two", { wanted: "two", failed: null, kept: "one" }));
  t.notOk(goesBack("two", { wanted: "two", failed: null, kept: null }));
  t.notOk(goesBack("two", { wanted: "two", failed: null, kept: "two" }));
  t.notOk(goesBack("one", { wanted: "two", failed: "two", kept: "one" }));
});
