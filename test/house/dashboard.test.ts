/** The dashboard that comes along asks only for figures that there are. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import t from "tap";
import { startGazetteer } from "../helpers/gazetteer.js";
import { startSluice } from "../helpers/sluice.js";

const DASHBOARD = fileURLToPath(
  new URL("../../../config/observability/grafana/dashboards/sluice.json", import.meta.url),
);

interface Panel {
  readonly title: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets?: readonly { readonly expr: string }[];
}

const { panels } = JSON.parse(readFileSync(DASHBOARD, "utf8")) as { panels: Panel[] };

t.test("every figure of the dashboard is on the metrics page", async (t) => {
  const server = await startGazetteer(t);
  const sluice = await startSluice(t, {
    config: { discovery: { static: [{ name: "m", url: server.url }], docker: { enabled: false } } },
  });
  for (const path of ["process", "process_bulk"]) {
    const isBulk = path === "process_bulk";
    const answer = await fetch(`${sluice.url}/models/m/${path}`, {
      method: "POST",
      headers: { "content-type": isBulk ? "application/json" : "text/plain" },
      body: isBulk ? '["Seen on 3 March 2021"]' : "Seen on 3 March 2021",
    });
    t.equal(answer.status, 200, await answer.text());
  }
  const page = await (await fetch(`${sluice.url}/metrics/`)).text();
  // Declared figures without a value yet still have their TYPE line.
  const declared = new Set([...page.matchAll(/^# TYPE (\S+) /gm)].map(([, name]) => name!));
  const asked = panels.flatMap(({ title, targets = [] }) =>
    targets.flatMap(({ expr }) =>
      [...expr.matchAll(/\b[a-z]+(?:_[a-z]+)+\b(?=[{[ )]|$)/g)].map(([name]) => ({ title, name })),
    ),
  );
  const figures = asked.filter(({ name }) => /^(sluice|gateway|scheduler|ripper)_/.test(name));
  t.ok(figures.length >= panels.length - 5, "figures were found in the expressions");
  for (const { title, name } of figures) t.ok(declared.has(name.replace(/_bucket$/, "")), `${title}: ${name}`);
});

t.test("no panel lies on another", async (t) => {
  const covers = (one: Panel, other: Panel) =>
    one !== other &&
    one.gridPos.x < other.gridPos.x + other.gridPos.w &&
    other.gridPos.x < one.gridPos.x + one.gridPos.w &&
    one.gridPos.y < other.gridPos.y + other.gridPos.h &&
    other.gridPos.y < one.gridPos.y + one.gridPos.h;
  for (const one of panels)
    t.notOk(
      panels.some((other) => covers(one, other)),
      one.title,
    );
});
