/** `sluice models watch`: a line for everything that becomes of models, until Ctrl-C. */
import type { ModelEvent } from "../core/contract/model-management.js";
import { openClient, withClient } from "./client.js";
import { CliError, EXIT } from "./exit.js";
import { onInterrupt } from "./interrupt.js";
import type { ShowFlags } from "./model-commands.js";
import { followModels } from "./model-events.js";
import { ignoreClosedPipe } from "./result.js";
import { type Colour, coloured, layoutOf, type TableLayout } from "./table.js";
import { formatSeconds, plain } from "./terminal.js";

export async function watchModels(name: string | undefined, flags: ShowFlags): Promise<void> {
  process.stdout.on("error", ignoreClosedPipe);
  const signal = onInterrupt();
  const layout = layoutOf(process.stdout);
  const lineOf = flags.json === true ? (event: ModelEvent) => `${JSON.stringify(event)}\n` : eventLines(layout);
  try {
    await withClient(openClient(flags), (client) =>
      followModels(client, name ?? null, {
        signal,
        onAway: () => {},
        onEvent(event) {
          process.stdout.write(lineOf(event));
          return false;
        },
      }),
    );
  } catch (caught) {
    if (caught instanceof CliError || !signal.aborted) throw caught;
    process.exitCode = EXIT.interrupted;
  }
}

const COLOURS: Readonly<Record<string, Colour>> = {
  ready: "green",
  starting: "yellow",
  draining: "yellow",
  failed: "red",
  unreachable: "red",
};
const STATE_WIDTH = 11;

/** Aligned at a terminal by the longest name so far, tab-separated elsewhere. A state that is told again is not repeated. */
function eventLines(layout: TableLayout): (event: ModelEvent) => string {
  const latest = new Map<string, string>();
  let width = 0;
  return ({ model, at, state, problem, expected_seconds }) => {
    const usually = expected_seconds === null ? null : `its longest start took ${formatSeconds(expected_seconds)}`;
    const note = plain(problem ?? (state === "starting" ? usually : null) ?? "");
    const said = `${state} ${note}`;
    if (latest.get(model) === said) return "";
    latest.set(model, said);
    if (!layout.isTerminal) return `${[at, plain(model), state, note === "" ? "-" : note].join("\t")}\n`;
    const name = plain(model);
    width = Math.max(width, name.length);
    const time = new Date(at).toTimeString().slice(0, 8);
    const word = coloured(state.padEnd(STATE_WIDTH), layout.hasColour ? (COLOURS[state] ?? null) : null);
    return `${time}  ${name.padEnd(width)}  ${word}  ${note}`.trimEnd().concat("\n");
  };
}
