// The page: the live stream, and how far it may be trusted.

import { Feed } from "./feed.js";
import { Lines } from "./lines.js";
import { address, linked } from "./linked.js";
import { readPast } from "./past.js";
import { Rows, clock, element } from "./rows.js";

const STATUS_MS = 10_000;
const MAX_NAMES = 200;
const MAX_NODES = 20;

const $ = (id) => document.getElementById(id);
const base = location.pathname.replace(/[^/]*$/, "");
const names = { namespaces: new Set(), kinds: new Set() };
let state = "connecting";
let round = 0;
let statusTimer = 0;
let pinned = {}; // what a link asked for and no field shows: the range, one object, only gaps
let unheeded = []; // what a link asked for and cannot be shown, in words

const rows = new Rows($("rows"), ({ waiting, skipped, count }) => {
  $("waiting").hidden = !rows.paused || !waiting;
  $("waiting").textContent = `${waiting} new${skipped ? `, ${skipped} older of them not kept` : ""}: p to go on`;
  $("empty").hidden = count > 0;
  $("empty").textContent = $("filters").dataset.narrow ? "Nothing that fits." : "Nothing yet.";
});

const feed = new Feed(base, (kind, detail) => {
  if (kind === "items") {
    rows.add(detail);
    for (const it of detail) learn(it);
    if (detail.some((it) => it.type === "gap" || it.type === "presence")) refreshSoon(500);
    const last = detail.at(-1);
    if (last) $("seq").textContent = `seq ${last.seq}`;
  } else if (kind === "lines") {
    lines.take(detail.kind, detail.message);
  } else if (kind === "state") {
    state = detail.name;
    $("login").hidden = state !== "ended";
    if (state === "live") notice("");
    show();
  } else if (kind === "gap") {
    notice(`The stream has a hole (${detail.cause}): records ${detail.fromSeq ?? "…"} to ${detail.toSeq} are not in this list.`);
  } else if (kind === "error" && !detail.retryable) {
    if (detail.code === "badFilter" && Object.keys(pinned).length) return; // told by what reads for the link
    notice(detail.code === "unauthorized" ? "" : `${detail.code}: ${detail.message}`);
  } else if (kind === "foreign") {
    listen(); // another journal: what is listed is not of it
  } else if (kind === "welcome") {
    refreshSoon(0);
  } else if (kind === "tick") {
    show(detail);
  }
});

const lines = new Lines(feed, base, () => remember());

function show(tick) {
  const stale = tick ? tick.silentMs > tick.staleMs : document.body.dataset.stale === "true";
  document.body.dataset.stale = String(stale || state === "ended");
  const since = new Date(feed.heardAt).toLocaleTimeString([], { hour12: false });
  let [name, text] = [state, { live: "Live", connecting: "Connecting", ended: "Token needed" }[state]];
  if (state === "reconnecting") {
    const seconds = feed.retryAt ? Math.max(0, Math.ceil((feed.retryAt - Date.now()) / 1000)) : 0;
    text = `Reconnecting (${seconds} s)`;
  }
  if (stale && state !== "ended") [name, text] = ["stale", `Stale since ${since}`];
  $("state").dataset.state = name;
  if ($("state-text").textContent !== text) $("state-text").textContent = text;
}

function notice(text) {
  $("notice").textContent = text;
  $("notice").hidden = !text;
}

function learn(it) {
  for (const [list, value] of [["namespaces", it.namespace], ["kinds", it.kind ?? it.regarding?.kind]]) {
    if (!value || names[list].has(value) || names[list].size >= MAX_NAMES) continue;
    names[list].add(value);
    $(list).append(Object.assign(document.createElement("option"), { value }));
  }
}

function listen() {
  round += 1;
  for (const [id, { topic }] of [...feed.subscriptions]) if (topic !== "logs") feed.unsubscribe(id);
  rows.clear();
  const filter = { ...fields(), ...pinned };
  $("filters").dataset.narrow = Object.keys(filter).length ? "1" : "";
  const isLinked = Object.keys(pinned).length > 0;
  const { show, ...wanted } = filter;
  const topics = pinned.to ? [] : show ? ["gaps"] : ["changes", "occurrences", "gaps", "presence"];
  for (const topic of topics) {
    feed.subscribe(`${topic}-${round}`, topic, topic === "changes" || topic === "occurrences" ? wanted : {}, !isLinked);
  }
  past("");
  if (isLinked) look(filter, round);
  remember();
}

function fields() {
  const said = ["namespace", "kind", "q"].map((name) => [name, $(name).value.trim()]);
  return Object.fromEntries(said.filter(([, value]) => value));
}

async function look(filter, asked) {
  past("Reading …");
  try {
    const found = await readPast(base, feed.token, filter);
    if (asked !== round) return;
    if (found) rows.add(found.items);
    past(found?.words ?? "", found?.whole ? "" : "warn");
  } catch (error) {
    if (asked === round) past(error.message, "bad");
  }
}

function past(text, level = "") {
  $("past").textContent = text;
  $("past").dataset.level = level;
  $("link").hidden = !text && $("pinned").hidden;
}

function remember() {
  history.replaceState(null, "", address({ fields: fields(), pinned, lines: lines.shown() }));
}

function showPinned() {
  const short = (time) => (Number.isNaN(Date.parse(time)) ? time : new Date(time).toLocaleString([], { dateStyle: "short", timeStyle: "medium" }));
  const words = [];
  if (pinned.show) words.push("gaps");
  if (pinned.uid) words.push("one object");
  if (pinned.from) words.push(`from ${short(pinned.from)}`);
  if (pinned.to) words.push(`to ${short(pinned.to)}`);
  const said = [...(words.length ? [`Only ${words.join(" ")}`] : []), ...unheeded];
  $("pinned").hidden = !said.length;
  $("pinned").textContent = said.length ? `${said.join("; ")} ✕` : "";
}

function refreshSoon(delay) {
  clearTimeout(statusTimer);
  statusTimer = setTimeout(refresh, delay);
}

async function refresh() {
  try {
    const headers = feed.token ? { Authorization: `Bearer ${feed.token}` } : {};
    const answer = await fetch(`${base}api/v1/status`, { headers, cache: "no-store", signal: AbortSignal.timeout(8_000) });
    if (answer.ok) tell(await answer.json());
  } catch {
    // The chip tells; what stands here greys with it.
  }
  refreshSoon(STATUS_MS);
}

function fact(id, text, level = "") {
  $(id).textContent = text;
  $(id).parentElement.dataset.level = level;
}

function tell(status) {
  const { connected, away } = status.reporting;
  const open = status.gaps.filter((gap) => gap.outcome === "open");
  const lost = status.gaps.filter((gap) => gap.outcome === "lost");
  const load = Object.values(status.apiServerRequests).reduce((sum, count) => sum + count, 0);
  $("cluster").textContent = status.cluster ?? "";
  document.title = status.cluster ? `${status.cluster} · kubescribe` : "kubescribe";
  fact("reporting", `${connected} of ${connected + away}`, away || !connected ? "bad" : "");
  fact("lag", status.lagSeconds === null ? "unknown" : `${status.lagSeconds.toFixed(1)} s`, status.lagSeconds > 10 ? "warn" : "");
  fact("gaps-open", String(open.length), open.length ? "bad" : "");
  fact("gaps-lost", String(lost.length), lost.length ? "warn" : "");
  fact("horizon", status.journal.horizon ? new Date(status.journal.horizon).toLocaleString([], { dateStyle: "short", timeStyle: "short" }) : "–");
  fact("journal", status.journal.changes.toLocaleString());
  fact("load", load.toLocaleString());
  if (status.trouble) notice(`The journal takes nothing now: ${status.trouble}. What is below is read from what it has.`);
  tellNodes(status.nodes);
  // A node agent at work is counted; shown are those that somebody has to think about, and the others.
  const named = new Set(status.nodes.notReporting.map((node) => node.node));
  const shown = status.agents.filter((agent) => agent.scope !== "node" || (!agent.connected && !named.has(agent.node)));
  $("agents").replaceChildren(...shown.map(agentItem));
  $("gaps").replaceChildren(...[...open, ...lost].slice(0, 20).map(gapItem));
  if (!$("gaps").childElementCount) $("gaps").append(element("li", "", "None known."));
}

function tellNodes({ total, reporting, adopted, unreported, notReporting }) {
  $("nodes").parentElement.hidden = !total;
  fact("nodes", adopted ? `${reporting} + ${adopted} of ${total}` : `${reporting} of ${total}`, unreported ? "bad" : adopted ? "warn" : "");
  $("nodes").title = `${reporting} by their own agent, ${adopted} by the cluster agent, ${unreported} by nobody`;
  $("nodes-head").hidden = !notReporting.length;
  $("nodes-away").replaceChildren(...notReporting.slice(0, MAX_NODES).map(nodeItem));
  if (notReporting.length > MAX_NODES) $("nodes-away").append(element("li", "", `and ${notReporting.length - MAX_NODES} more`));
}

function nodeItem(node) {
  const covered = node.coveredBy ? `its pods are watched by ${node.coveredBy}` : "nobody watches its pods";
  const text = `${node.deleted ? "deleted; " : ""}no agent since ${clock(node.since)}: ${covered}`;
  return element("li", node.coveredBy ? "" : "gap open", element("span", "", node.node), element("small", "", text));
}

function agentItem(agent) {
  const seen = agent.streams.filter((stream) => stream.state === "live").length;
  const lag = agent.lagSeconds === null ? "lag unknown" : `${agent.lagSeconds.toFixed(1)} s behind`;
  const text = agent.connected
    ? `${lag}, ${seen} of ${agent.streams.length} streams live, ${agent.spoolRecords || "no"} records waiting`
    : `away since ${clock(agent.since)}: what it would report is unknown`;
  const title = `${agent.connected ? "●" : "○"} ${agent.agent}`;
  return element("li", agent.connected ? "" : "gap open", element("span", "", title), element("small", "", text));
}

function gapItem(gap) {
  const span = `${clock(gap.from)} – ${gap.to ? clock(gap.to) : "now"}`;
  return element("li", `gap ${gap.outcome}`, element("span", "", gap.stream), element("small", "", `${gap.outcome}: ${gap.cause}, ${span}`));
}

function pause(paused) {
  rows.pause(paused);
  $("pause").setAttribute("aria-pressed", String(paused));
  $("pause").textContent = paused ? "Paused" : "Pause";
}

// Lines are of one namespace; the filter may name several.
function ownNamespace() {
  const said = $("namespace").value.trim();
  return said.includes(",") ? "" : said;
}

let typing = 0;
$("filters").addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(listen, 300);
});
$("filters").addEventListener("submit", (event) => event.preventDefault());
$("rows").addEventListener("click", (event) => {
  const asked = event.target.closest("[data-lines]")?.dataset;
  if (asked) lines.show(asked.lines, asked.namespace, asked.name, pinned);
});
$("show-lines").addEventListener("click", () => lines.show("workload", ownNamespace()));
$("pause").addEventListener("click", () => pause(!rows.paused));
$("theme").addEventListener("click", () => {
  const dark = getComputedStyle(document.documentElement).colorScheme.startsWith("dark");
  document.documentElement.dataset.theme = localStorage.theme = dark ? "light" : "dark";
});
$("login").addEventListener("submit", (event) => {
  event.preventDefault();
  const keep = $("keep").checked ? localStorage : sessionStorage;
  feed.token = keep.token = $("token").value.trim();
  feed.failures = 0;
  feed.connect();
  if (Object.keys(pinned).length) listen();
  lines.again();
});
addEventListener("keydown", (event) => {
  if (event.key === "Escape") event.target.matches?.("input") ? event.target.blur() : lines.close();
  if (event.target.matches?.("input, select") || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "/") {
    event.preventDefault();
    $("q").focus();
  } else if (event.key === "l") {
    event.preventDefault();
    lines.show("workload", ownNamespace());
  } else if (event.key === "p") pause(!rows.paused);
});

$("pinned").addEventListener("click", () => {
  [pinned, unheeded] = [{}, []];
  showPinned();
  listen();
  lines.again({});
});

if (localStorage.theme) document.documentElement.dataset.theme = localStorage.theme;
feed.token = sessionStorage.token ?? localStorage.token ?? null;
const asked = linked(location.search);
pinned = asked.pinned;
if (asked.several.length) unheeded.push(`several named (${asked.several.join(", ")}): all are shown`);
if (asked.isWithoutLines) unheeded.push("lines are of one namespace and one workload");
for (const [name, value] of Object.entries(asked.fields)) $(name).value = value;
showPinned();
if (asked.lines) lines.show(asked.lines.what, asked.lines.namespace, asked.lines.name, pinned);
listen();
feed.connect();
