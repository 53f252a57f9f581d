/** What is tracked names no machine it was made on: no workplace's folders, no package host of its own. */
import { execFileSync } from "node:child_process";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import t from "tap";

const root = fileURLToPath(new URL("../../..", import.meta.url));
/** Folders at the root of a file system that no program of ours has a reason to name. Put together, so as not to match itself. */
const workplaces = ["work", "farm"].map((folder) => new RegExp(`(?<![\\w.~*}-])/${folder}/`));
const maxReadBytes = 8 * 1024 * 1024;

function listTracked(): string[] | undefined {
  try {
    return execFileSync("git", ["ls-files", "-z"], { cwd: root, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] })
      .split("\0")
      .filter((path) => path !== "");
  } catch {
    return undefined;
  }
}

const tracked = listTracked();

t.test(
  "no tracked file names a folder of a workplace",
  {
    skip: tracked === undefined && "this is not a git clone",
  },
  async (t) => {
    const named = (tracked ?? []).flatMap((path) => {
      const file = statSync(join(root, path), { throwIfNoEntry: false });
      if (!file?.isFile() || file.size > maxReadBytes) return [];
      const lines = readFileSync(join(root, path), "utf8").split("\n");
      return lines.flatMap((line, index) =>
        workplaces.some((workplace) => workplace.test(line)) ? [`${path}:${index + 1}`] : [],
      );
    });
    t.same(named, []);
  },
);

t.test("the pattern finds what it is meant to find and nothing else", async (t) => {
  const isFound = (line: string) => workplaces.some((workplace) => workplace.test(line));
  const folder = ["", "work", "notes"].join("/");
  t.ok(isFound(`read ${folder} first`));
  t.ok(isFound(`"${folder}"`));
  t.notOk(isFound("./work/notes"));
  t.notOk(isFound("https://example.org/framework/notes"));
});

t.test("the lockfile leaves the choice of the package host to npm", async (t) => {
  const lock = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")) as {
    packages: Record<string, { resolved?: string; integrity?: string; link?: boolean }>;
  };
  const entries = Object.entries(lock.packages).filter(([path]) => path !== "");
  t.ok(entries.length > 0);
  const named = entries.filter(([, { resolved }]) => resolved !== undefined).map(([path]) => path);
  t.same(named, [], "entries that name a host");
  t.same(
    entries.filter(([, entry]) => entry.integrity === undefined && entry.link !== true).map(([path]) => path),
    [],
    "packages without a hash",
  );
});
