/** Starts `served.ts`. */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { makeFolder } from "../../../helpers/folder.js";
import type { Teardown } from "../../../helpers/gazetteer.js";
import { connectRegistry, type RegistryClient } from "../../../helpers/registry-client.js";
import type { ServedOptions, ServedState } from "./served.js";

export interface Apart {
  readonly port: number;
  readonly client: RegistryClient;
  readonly child: ChildProcess;
  state(): Promise<ServedState>;
  /** Resolves when the state is as wanted. */
  until(isWanted: (state: ServedState) => boolean): Promise<ServedState>;
}

export async function serveApart(t: Teardown, limits: ServedOptions["limits"] = {}): Promise<Apart> {
  const options: ServedOptions = { dataDir: makeFolder(t), limits };
  const file = fileURLToPath(new URL("./served.js", import.meta.url));
  const child = fork(file, [JSON.stringify(options)], { execArgv: ["--expose-gc"] });
  t.teardown(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill("SIGKILL");
    await once(child, "exit");
  });
  const [{ port }] = (await once(child, "message")) as [{ port: number }];
  const state = async () => {
    child.send("state");
    const [answer] = (await once(child, "message")) as [ServedState];
    return answer;
  };
  const until = async (isWanted: (state: ServedState) => boolean) => {
    for (;;) {
      const now = await state();
      if (isWanted(now)) return now;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  return { port, child, state, until, client: connectRegistry(t, { port }) };
}
