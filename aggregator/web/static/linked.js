// What a link to the page asks for: the parameters of `GET changes`, and whose lines (docs/dashboards.md).

const NOW_MS = 120_000; // "to" is the moment of the click where a dashboard shows "now": that is the live end

// A dashboard says `.*` for all, and several names for several; the page then shows all.
function plain(text) {
  return text === ".*" || /^[\w.-]+(,[\w.-]+)+$/.test(text) ? "" : text;
}

export function linked(search) {
  const asked = new URLSearchParams(search);
  const said = (name) => plain((asked.get(name) ?? "").trim());
  const range = { from: said("from"), to: said("to") };
  if (range.to && Date.now() - Date.parse(range.to) < NOW_MS) range.to = "";
  const what = said("pod") ? "pod" : "workload";
  return {
    fields: { namespace: said("namespace"), kind: said("kind"), q: said("q") },
    pinned: Object.fromEntries(Object.entries({ uid: said("uid"), ...range }).filter(([, value]) => value)),
    lines: said(what) && said("namespace") ? { what, namespace: said("namespace"), name: said(what) } : null,
  };
}
