/** Commands out of Markdown: the lines of its ```sh blocks, continued lines joined. */
export function commandLines(markdown: string): string[] {
  return [...markdown.matchAll(/^```sh\n(.*?)^```$/gms)].flatMap(([, block]) =>
    block!
      .replaceAll("\\\n", "")
      .split("\n")
      .filter((line) => line.trim() !== "" && !line.startsWith("#")),
  );
}

/** A simple command's words as a shell would split them: quotes, no expansion. */
export function words(command: string): string[] {
  const bare = command.replace(/ [<>] \S+$/, "");
  return [...bare.matchAll(/(?:[^\s'"]|'[^']*'|"[^"]*")+/g)].map(([word]) =>
    word.replace(/'([^']*)'|"([^"]*)"/g, "$1$2"),
  );
}
