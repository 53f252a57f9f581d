/** The little of our own environment that a model server we start gets to see: never our settings, tokens or keys. */

const INHERITED = ["PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR"];
/** In both spellings, as programs differ in which one they read. */
const PROXIES = ["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY"];

export function inheritedEnvironment(): Record<string, string> {
  const names = [...INHERITED, ...PROXIES, ...PROXIES.map((name) => name.toLowerCase())];
  const inherited: Record<string, string> = {};
  for (const name of names) {
    const value = process.env[name];
    if (value !== undefined) inherited[name] = value;
  }
  return inherited;
}
