/** Some places of the crash matrix once more, where they hold an answer's file or a training: that is sent once, whatever dies. */
import t from "tap";
import { chainsOf, nameOf, type Row, runChain } from "./crash-matrix/chain.js";

const ANSWERS = ["before_create", "before_sync", "before_rename", "after_rename", "after_sync"];
const TRAININGS = ["claim.before_commit", "attempt.after_send", "attempt.after_answer", "finish.before_commit"];
const ROWS: readonly Row[] = [
  ...ANSWERS.map((step) => ({ spec: `blob.${step}=kill@2`, drive: "big" as const })),
  ...TRAININGS.map((place) => ({ spec: `${place}=kill`, drive: "training" as const })),
];

t.jobs = 2;
for (const chain of chainsOf(ROWS)) t.test(nameOf(chain), (t) => runChain(t, chain));
