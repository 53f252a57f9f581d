/** `sluice models logs`: a model server's own output, by the sidecar's socket. */
import { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { StringDecoder } from "node:string_decoder";
import { openOperatorClient, withClient } from "./client.js";
import { EXIT } from "./exit.js";
import { onInterrupt } from "./interrupt.js";
import type { LogFlags } from "./model-commands.js";
import { ignoreClosedPipe } from "./result.js";

export async function printLogs(name: string, flags: LogFlags): Promise<void> {
  const signal = onInterrupt();
  const follow = flags.follow === true;
  const path = `/internal/models/${encodeURIComponent(name)}/logs?tail=${flags.tail}&follow=${follow}`;
  await withClient(openOperatorClient(flags), async (client) => {
    try {
      // A quiet log is followed for as long as it takes.
      const answer = await client.call({ path, signal, ...(follow ? { silenceMs: 0 } : {}) });
      const shown = process.stdout.isTTY ? [plainText()] : [];
      await pipeline([answer.body, ...shown, process.stdout], { end: false }).catch(ignoreClosedPipe);
    } catch (caught) {
      if (!signal.aborted) throw caught;
      process.exitCode = EXIT.interrupted;
    }
  });
}

/** What steers a terminal is left out on the way to one. */
function plainText(): Transform {
  const decoder = new StringDecoder("utf8");
  return new Transform({
    transform(chunk: Buffer, _encoding, next) {
      next(
        null,
        decoder
          .write(chunk)
          .replace(/\p{Cc}\[[0-9;]*m/gu, "")
          .replace(/(?![\n\t])[\p{Cc}\p{Cf}]/gu, " "),
      );
    },
  });
}
