/** `redis`: limits that several sidecars obey together. */
import { z } from "zod";
import { SECRET } from "./values.js";

const URL_WORDS =
  "must be redis://host:port/db, with user:password@ before the host if wanted, the same with rediss://, or unix:///path with ?db, user and password if wanted";

export const redis = z.strictObject({
  url: z
    .string()
    .refine(isRedisUrl, { error: URL_WORDS })
    .meta(SECRET)
    .nullable()
    .default(null)
    .describe(
      "Several sidecars with the same Redis (6 or later) and prefix share all limits: global, per model, per class. The one that started or reloaded last says how high they are. While Redis is away nothing new starts; null: one sidecar alone",
    ),
  prefix: z
    .string()
    .regex(/^[A-Za-z0-9_.:-]{1,64}$/, "must be 1 to 64 letters, digits, '_', '.', ':' or '-'")
    .default("sluice")
    .describe(
      "Installations that share a Redis and no limits need different ones; a database number alone does not part them",
    ),
});

function isRedisUrl(value: string): boolean {
  if (!/^(rediss?|unix):\/\/\S+$/.test(value) || !URL.canParse(value)) return false;
  const { protocol, hostname, pathname, searchParams, username, password } = new URL(value);
  try {
    decodeURIComponent(username + password + pathname);
  } catch {
    return false;
  }
  if (protocol === "unix:") return hostname === "" && pathname.length > 1 && /^\d*$/.test(searchParams.get("db") ?? "");
  return hostname !== "" && /^\/?\d*$/.test(pathname);
}
