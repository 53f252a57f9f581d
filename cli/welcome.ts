/** What a person sees once Sluice serves: where, what, and a line to try. */
import { createHttpClient } from "../core/runtime/http.js";

const NOTE = "Seen on 3 March 2021 by Dr Khan, tel 020 7946 0958";
const ANSWER_TIMEOUT_MS = 2_000;

interface ModelLists {
  readonly running?: readonly { readonly name: string }[];
  readonly on_demand?: readonly { readonly name: string }[];
}

/** Goes to the terminal; where stdout is read by a program, to stderr. */
export async function welcome(url: string, socketPath: string): Promise<void> {
  const text = describeService(url, await askModels(socketPath));
  (process.stdout.isTTY ? process.stdout : process.stderr).write(text);
}

function describeService(url: string, models: ModelLists | null): string {
  const running = (models?.running ?? []).map((each) => each.name);
  const onDemand = (models?.on_demand ?? []).map((each) => `${each.name} (starts at its first request)`);
  const all = [...running, ...onDemand];
  const serves =
    models === null
      ? ""
      : `Models: ${all.length > 0 ? all.join(", ") : "none yet; see discovery in the configuration"}\n`;
  const names = [...running, ...(models?.on_demand ?? []).map((each) => each.name)];
  const model = names.includes("gazetteer") ? "gazetteer" : names[0];
  const host = url.replace(/^http:\/\//, "").replace(/^127\.0\.0\.1:/, "localhost:");
  const line = `curl -H 'content-type: text/plain' --data '${NOTE}' ${host}/models/${model}/process`;
  return `\nSluice listens on ${url}\n${serves}${model === undefined ? "" : `Try:\n  ${line}\n`}Ctrl-C stops it.\n\n`;
}

async function askModels(socketPath: string): Promise<ModelLists | null> {
  const http = createHttpClient({ socketPath, connectTimeoutMs: ANSWER_TIMEOUT_MS });
  try {
    const answer = await http.call({
      method: "GET",
      origin: "http://sidecar",
      path: "/models",
      signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS),
    });
    if (answer.status === 200) return (await answer.body.json()) as ModelLists;
    await answer.body.dump();
    return null;
  } catch {
    return null;
  } finally {
    await http.close();
  }
}
