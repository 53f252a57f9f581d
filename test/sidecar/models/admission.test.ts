import t from "tap";
import {
  type AdmissionLimits,
  type Applicant,
  decideAdmission,
  EVICTABLE_AFTER_MS,
  PATIENT_FOR_MS,
  type Resident,
} from "../../../sidecar/models/admission.js";

const GIB = 2 ** 30;
const FREE: AdmissionLimits = { maxStarts: null, budgetBytes: null, neverTogether: [] };
const LONG_MS = 60_000;

const asks = (name: string, gib = 0, waitedMs = 0): Applicant => ({ name, needBytes: gib * GIB, waitedMs });
const runs = (name: string, gib = 0, more: Partial<Resident> = {}): Resident => ({
  name,
  needBytes: gib * GIB,
  isStarting: false,
  isLeaving: false,
  idleMs: null,
  ...more,
});
const idle = (name: string, gib = 0, idleMs = LONG_MS) => runs(name, gib, { idleMs });
const starts = (name: string, gib = 0) => runs(name, gib, { isStarting: true });

interface Case {
  readonly says: string;
  readonly limits: Partial<AdmissionLimits>;
  readonly applicants: readonly Applicant[];
  readonly residents?: readonly Resident[];
  readonly verdicts: readonly object[];
}

const go = (name: string) => ({ name, do: "start" });
const wait = (name: string, evict: string[] = [], problem: RegExp = /it waits/) => ({
  name,
  do: "wait",
  evict,
  problem,
});

const CASES: readonly Case[] = [
  {
    says: "without limits everything starts",
    limits: {},
    applicants: [asks("a", 100), asks("b", 100)],
    residents: [starts("c", 100)],
    verdicts: [go("a"), go("b")],
  },
  {
    says: "starts are let in up to the cap, first come first",
    limits: { maxStarts: 2 },
    applicants: [asks("a"), asks("b")],
    residents: [starts("c"), runs("d")],
    verdicts: [go("a"), wait("b", [], /it waits for 2 other starts to end: .*max_concurrent_deployments is 2/)],
  },
  {
    says: "what can never fit is refused, with both numbers",
    limits: { budgetBytes: 4 * GIB },
    applicants: [asks("a", 5)],
    verdicts: [{ name: "a", do: "refuse", problem: /needs 5 GiB .*budget is 4 GiB/ }],
  },
  {
    says: "what fits exactly starts",
    limits: { budgetBytes: 4 * GIB },
    applicants: [asks("a", 2)],
    residents: [runs("b", 2)],
    verdicts: [go("a")],
  },
  {
    says: "what does not fit waits while everything is held",
    limits: { budgetBytes: 4 * GIB },
    applicants: [asks("a", 2)],
    residents: [runs("b", 3)],
    verdicts: [wait("a", [], /it needs 2 GiB, 1 GiB of models.deployment.memory.budget is free/)],
  },
  {
    says: "the longest idle go first, and no more of them than are needed",
    limits: { budgetBytes: 6 * GIB },
    applicants: [asks("a", 2)],
    residents: [idle("young", 2, 10_000), idle("old", 2, 30_000), idle("older", 2, 90_000)],
    verdicts: [wait("a", ["older"])],
  },
  {
    says: "nothing is stopped when that would not be enough",
    limits: { budgetBytes: 6 * GIB },
    applicants: [asks("a", 4)],
    residents: [runs("held", 4), idle("idle", 2)],
    verdicts: [wait("a", [])],
  },
  {
    says: "what is leaving already is waited for, and nobody else is stopped",
    limits: { budgetBytes: 4 * GIB },
    applicants: [asks("a", 2)],
    residents: [runs("going", 2, { isLeaving: true }), idle("idle", 2)],
    verdicts: [wait("a", [])],
  },
  {
    says: "a small one that came later does not take what a large one waits for",
    limits: { budgetBytes: 4 * GIB },
    applicants: [asks("large", 4), asks("small", 1), asks("nothing", 0)],
    residents: [runs("held", 2)],
    verdicts: [wait("large"), wait("small"), go("nothing")],
  },
  {
    says: "two that wait do not count on one and the same victim",
    limits: { budgetBytes: 4 * GIB },
    applicants: [asks("a", 2), asks("b", 2)],
    residents: [idle("x", 2, 90_000), idle("y", 2, 30_000)],
    verdicts: [wait("a", ["x"]), wait("b", ["y"])],
  },
  {
    says: "an idle one of the same group makes room",
    limits: {
      neverTogether: [
        ["a", "b"],
        ["c", "d"],
      ],
    },
    applicants: [asks("a")],
    residents: [idle("b"), idle("c")],
    verdicts: [wait("a", ["b"], /it waits for 'b' to go: models.deployment.never_together/)],
  },
  {
    says: "a held one of the same group is waited for",
    limits: { neverTogether: [["a", "b", "c"]] },
    applicants: [asks("a")],
    residents: [idle("b"), runs("c")],
    verdicts: [wait("a", [], /'b' and 'c'/)],
  },
  {
    says: "two of one group do not start together, and the second waits for the first",
    limits: { neverTogether: [["a", "b"]] },
    applicants: [asks("a"), asks("b")],
    verdicts: [go("a"), wait("b", [], /'a'/)],
  },
  {
    says: "one that came later does not overtake another of its group that waits",
    limits: {
      neverTogether: [
        ["a", "b"],
        ["a", "c"],
      ],
    },
    applicants: [asks("a"), asks("b")],
    residents: [runs("c")],
    verdicts: [wait("a", [], /'c'/), wait("b", [], /'a'/)],
  },
  {
    says: "what leaves for its group frees its memory too",
    limits: { budgetBytes: 4 * GIB, neverTogether: [["a", "b"]] },
    applicants: [asks("a", 2)],
    residents: [idle("b", 2, 30_000), idle("c", 2, 90_000)],
    verdicts: [wait("a", ["b"])],
  },
  {
    says: "nothing is stopped while no start is free",
    limits: { maxStarts: 1, budgetBytes: 2 * GIB },
    applicants: [asks("a", 2)],
    residents: [starts("b"), idle("c", 2)],
    verdicts: [wait("a", [], /it waits for memory/)],
  },
];

for (const { says, limits, applicants, residents = [], verdicts } of CASES) {
  t.test(says, async (t) => {
    t.match(decideAdmission(applicants, residents, { ...FREE, ...limits }), verdicts);
  });
}

t.test("one that was in use a moment ago is left alone, and looked at again when it may be stopped", async (t) => {
  const limits = { ...FREE, budgetBytes: 2 * GIB };
  const [verdict] = decideAdmission([asks("a", 2)], [idle("b", 2, EVICTABLE_AFTER_MS - 300)], limits);
  t.match(verdict, { do: "wait", evict: [], againMs: 300 });
});

t.test("whoever has waited long takes the first moment without a lease, and none that is held", async (t) => {
  const limits = { ...FREE, neverTogether: [["a", "b"]] };
  const patient = asks("a", 0, PATIENT_FOR_MS);
  t.match(decideAdmission([patient], [idle("b", 0, 0)], limits), [{ do: "wait", evict: ["b"], againMs: null }]);
  t.match(decideAdmission([patient], [runs("b")], limits), [{ do: "wait", evict: [] }]);
});
