#!/usr/bin/env node
import type { AddressInfo } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { type Options, parseFlags } from "./flags.js";
import { createGazetteerServer } from "./server.js";
import { Service } from "./service.js";

/** Loads, then opens the port, then says so in one line of JSON. Ends within `--grace-ms` of SIGTERM or SIGINT. */
async function main(options: Options): Promise<void> {
  if (options.dieAfterMs !== null) setTimeout(() => process.exit(1), options.dieAfterMs);
  const stopEarly = () => process.exit(0);
  process.once("SIGTERM", stopEarly).once("SIGINT", stopEarly);
  const service = new Service(options);
  await pause(options.loadMs);
  const { server, stop } = createGazetteerServer(service);
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject).listen(options.port, options.host, resolve);
  });
  process.off("SIGTERM", stopEarly).off("SIGINT", stopEarly);
  const end = () => void stop().then(() => process.exit(0));
  process.once("SIGTERM", end).once("SIGINT", end);
  const { address, port } = server.address() as AddressInfo;
  process.stdout.write(
    `${JSON.stringify({ event: "ready", url: `http://${address}:${port}`, port, pid: process.pid })}\n`,
  );
}

try {
  await main(parseFlags(process.argv.slice(2)));
} catch (error) {
  process.stderr.write(`gazetteer: ${(error as Error).message}\n`);
  process.exit(2);
}
