// What a link to the page asks for: the parameters of `GET changes`, and whose lines (docs/dashboards.md); and back.

const NOW_MS = 120_000; // "to" is the moment of the click where a dashboard shows "now": that is the live end

// A dashboard says `.*` for all, and several names for several. Of namespaces that is a filter; of anything else the page
// shows all, and says so.
const isSeveral = (text) => /^[\w.-]+(,[\w.-]+)+$/.test(text);
const FIELDS = ["namespace", "kind", "q"];

export function linked(search) {
  const asked = new URLSearchParams(search);
  const given = (name) => (asked.get(name) ?? "").trim();
  const one = (name) => (given(name) === ".*" || isSeveral(given(name)) ? "" : given(name));
  const said = (name) => (name === "namespace" && isSeveral(given(name)) ? given(name) : one(name));
  const range = { from: given("from"), to: given("to") };
  if (range.to && Date.now() - Date.parse(range.to) < NOW_MS) range.to = "";
  const show = given("show") === "gaps" ? "gaps" : "";
  const what = said("pod") ? "pod" : "workload";
  return {
    fields: Object.fromEntries(FIELDS.map((name) => [name, said(name)])),
    pinned: Object.fromEntries(Object.entries({ show, uid: said("uid"), ...range }).filter(([, value]) => value)),
    lines: said(what) && one("namespace") ? { what, namespace: one("namespace"), name: said(what) } : null,
    several: [...FIELDS, "workload", "pod"].filter((name) => name !== "namespace" && isSeveral(given(name))),
    isWithoutLines: Boolean(given("workload") || given("pod")) && !(said(what) && one("namespace")),
  };
}

// The address of what is shown, so that it can be sent to somebody, and is there after a reload. Lines of another
// namespace than the list's are left out: an address has one.
export function address({ fields, pinned, lines }) {
  const shown = { ...fields, ...pinned };
  if (lines && (fields.namespace ?? lines.namespace) === lines.namespace) Object.assign(shown, { namespace: lines.namespace, [lines.what]: lines.name });
  const query = new URLSearchParams(Object.entries(shown).filter(([, value]) => value)).toString();
  return query ? `?${query}` : location.pathname;
}
