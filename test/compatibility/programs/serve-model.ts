/**
 * What deployments start: the example server, its arguments after the model's URI. `dies:…` cannot be loaded and ends at once,
 * `never:…` is never ready.
 */
const [node, , uri = "", ...flags] = process.argv;
if (uri.startsWith("dies:")) process.exit(3);
if (uri.startsWith("never:")) flags.push("--never-ready");

const gazetteer = new URL("../../../examples/gazetteer/main.js", import.meta.url);
process.argv = [node!, gazetteer.pathname, ...flags];
await import(gazetteer.href);

export {};
