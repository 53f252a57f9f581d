import t from "tap";
import { parseMoment, parseReason } from "../../cli/arguments.js";
import type { ListFlags } from "../../cli/list-tasks.js";
import type { Actions } from "../../cli/program.js";
import { createProgram } from "../../cli/program.js";

t.test("a moment is a span back from now, or a time", async (t) => {
  const backMs = (text: string) => Date.now() - Date.parse(parseMoment(text));
  for (const [text, spanMs] of [
    ["90s", 90_000],
    ["2h", 7_200_000],
    ["1.5d", 129_600_000],
  ] as const)
    t.ok(Math.abs(backMs(text) - spanMs) < 1_000, text);
  t.equal(parseMoment("2026-01-31"), "2026-01-31T00:00:00.000Z");
  t.equal(parseMoment("2026-01-31T08:00Z"), "2026-01-31T08:00:00.000Z");
  t.equal(parseMoment("2026-01-31 08:00:00.5+02:00"), "2026-01-31T06:00:00.500Z");
  t.equal(parseMoment("2026-01-31T08:00"), new Date(2026, 0, 31, 8).toISOString(), "in this machine's zone");
  t.equal(parseMoment("999999d"), "1970-01-01T00:00:00.000Z");
  for (const text of ["yesterday", "2", "", "2026-13-31", "31.1.2026", "-2h"])
    t.throws(() => parseMoment(text), /a span such as 90s, 2h or 7d, or a time such as/, text);
});

t.test("a reason is one there is", async (t) => {
  t.equal(parseReason("lost"), "lost");
  t.throws(() => parseReason("bored"), /one of cancelled, expired, lost/);
});

t.test("a mistyped subcommand or flag is called by its name, and the one that was meant is offered", async (t) => {
  const refused = (args: string[], message: string) => {
    const program = createProgram({} as Actions, "0.0.0");
    for (const command of [program, ...program.commands.flatMap((each) => [each, ...each.commands])])
      command.exitOverride().configureOutput({ writeErr: () => {} });
    return t.rejects(program.parseAsync(args, { from: "user" }), { exitCode: 1, message }, args.join(" "));
  };
  await refused(
    ["models", "depoly", "m", "--model-uri", "m:/m"],
    "error: unknown command 'depoly'\n(Did you mean deploy?)",
  );
  await refused(["models", "bogus"], "error: unknown command 'bogus'");
  await refused(["on-demand", "creat", "m", "--json"], "error: unknown command 'creat'\n(Did you mean create?)");
  await refused(["models", "--jsno"], "error: unknown option '--jsno'\n(Did you mean --json?)");
  await refused(["models", "list", "m"], "error: 'list' takes no argument, but there is 'm'");
});

t.test("the list's flags reach it, fifty tasks unless all or another number were asked for", async (t) => {
  const seen: ListFlags[] = [];
  const parse = async (...args: string[]) => {
    const listTasks = async (flags: ListFlags) => void seen.push(flags);
    const program = createProgram({ listTasks } as unknown as Actions, "0.0.0");
    for (const command of [program, ...program.commands.flatMap((each) => [each, ...each.commands])])
      command.exitOverride().configureOutput({ writeErr: () => {} });
    await program.parseAsync(["tasks", "list", ...args], { from: "user" });
    return seen.at(-1)!;
  };
  t.match(await parse(), { limit: 50 });
  t.match(await parse("--all", "--json"), { all: true, json: true });
  t.match(await parse("--limit", "7", "--task", "process"), { limit: 7, task: "process" });
  await t.rejects(parse("--all", "--limit", "7"), { code: "commander.conflictingOption" });
});
