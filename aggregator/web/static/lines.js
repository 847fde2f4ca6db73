// The lines of a pod or a workload: the newest ones, or those that come. The list holds MAX_LINES and no more.

import { clock, element } from "./rows.js";

const MAX_LINES = 2_000;
const LIMIT = "500";

export class Lines {
  // `onAsk` is called when other lines are asked for, or none any more.
  constructor(feed, base, onAsk) {
    this.feed = feed;
    this.base = base;
    this.onAsk = onAsk;
    this.panel = document.getElementById("lines");
    this.form = document.getElementById("lines-form");
    this.list = document.getElementById("lines-list");
    this.said = document.getElementById("lines-said");
    this.queue = [];
    this.frame = 0;
    this.round = 0;
    this.id = null;
    this.range = {};
    let typing = 0;
    this.form.addEventListener("input", (event) => {
      clearTimeout(typing);
      typing = setTimeout(() => this.ask(), event.target.type === "text" ? 400 : 0);
    });
    this.form.addEventListener("submit", (event) => event.preventDefault());
    document.getElementById("lines-close").addEventListener("click", () => this.close());
  }

  // With a range that has an end, what was said then; it is over, so it cannot be followed.
  show(what, namespace, name, { from, to } = {}) {
    const fields = this.form.elements;
    this.range = { ...(from && { since: from }), ...(to && { until: to }) };
    if (to) fields.follow.checked = false;
    fields.namespace.value = namespace ?? "";
    fields.what.value = what;
    fields.name.value = name ?? "";
    this.panel.hidden = false;
    if (name) this.ask();
    else fields.name.focus();
  }

  close() {
    this.leave();
    this.round += 1;
    this.panel.hidden = true;
    this.clear();
    this.onAsk();
  }

  // Whose lines are shown, null for nobody's.
  shown() {
    const { namespace, what, name } = this.form.elements;
    return this.panel.hidden || !name.value.trim() ? null : { what: what.value, namespace: namespace.value.trim(), name: name.value.trim() };
  }

  // What is shown is asked for again: there is a token now, or another range.
  again(range = this.range) {
    this.range = range;
    if (!this.panel.hidden) this.ask();
  }

  ask() {
    this.leave();
    const round = ++this.round;
    const fields = this.form.elements;
    const filter = { namespace: fields.namespace.value.trim(), [fields.what.value]: fields.name.value.trim(), limit: LIMIT };
    for (const name of ["container", "grep", "level"]) if (fields[name].value.trim()) filter[name] = fields[name].value.trim();
    this.clear();
    this.onAsk();
    if (this.range.since) filter.since = this.range.since;
    if (!filter.namespace || !filter[fields.what.value]) return this.say("Name a namespace, and a pod or a workload.");
    // What ended cannot be followed.
    fields.follow.disabled = fields.previous.checked;
    if (fields.follow.checked && !fields.previous.checked) {
      this.id = `lines-${round}`;
      this.say("Following.");
      this.feed.subscribe(this.id, "logs", filter, false);
    } else {
      if (fields.previous.checked) filter.previous = "true";
      if (this.range.until) filter.until = this.range.until;
      this.read(filter, round);
    }
  }

  leave() {
    if (this.id) this.feed.unsubscribe(this.id);
    this.id = null;
  }

  async read(filter, round) {
    this.say("Reading …");
    let body;
    try {
      const headers = this.feed.token ? { Authorization: `Bearer ${this.feed.token}` } : {};
      const answer = await fetch(`${this.base}api/v1/logs?${new URLSearchParams(filter)}`, { headers, cache: "no-store" });
      body = await answer.json();
      if (!answer.ok) throw new Error(body.detail);
    } catch (error) {
      if (round === this.round) this.say(error.message, "bad");
      return;
    }
    if (round !== this.round) return;
    this.add(body.items);
    const count = `${body.items.length}${body.next ? " newest" : ""} lines`;
    const missing = [...body.missing, ...body.gaps.map((gap) => `${gap.stream}: ${gap.outcome} (${gap.cause})`)];
    this.say(missing.length ? `${count}. Not whole: ${missing.join("; ")}` : `${count}, whole.`, missing.length ? "warn" : "");
  }

  // What the feed says under our id.
  take(kind, message) {
    if (message.id !== this.id) return;
    if (kind === "items") this.add(message.items);
    else if (kind === "begin") this.clear(); // the newest lines come again after a reconnection
    else if (kind === "error") this.say(message.message, "bad");
    else if (kind === "gap") {
      const count = message.count ? `${message.count} lines` : "lines";
      this.queue.push({ gap: `${count} are missing here (${message.cause})${message.detail ? `: ${message.detail}` : ""}` });
      this.schedule();
    }
  }

  add(items) {
    this.queue.push(...items);
    if (this.queue.length > MAX_LINES) this.queue.splice(0, this.queue.length - MAX_LINES);
    this.schedule();
  }

  clear() {
    this.queue = [];
    this.list.replaceChildren();
  }

  say(text, level = "") {
    this.said.textContent = text;
    this.said.dataset.level = level;
  }

  schedule() {
    if (!this.frame) this.frame = requestAnimationFrame(() => this.draw());
  }

  draw() {
    this.frame = 0;
    const box = this.list.parentElement;
    const atEnd = box.scrollHeight - box.scrollTop - box.clientHeight < 40;
    this.list.append(...this.queue.map(lineItem));
    this.queue = [];
    while (this.list.childElementCount > MAX_LINES) this.list.firstElementChild.remove();
    if (atEnd) box.scrollTop = box.scrollHeight;
  }
}

function lineItem(line) {
  if (line.gap) return element("li", "line gap", element("span", "", line.gap));
  const time = element("time", "when", clock(line.at));
  time.dateTime = time.title = line.at;
  const whose = element("span", "whose", line.pod, element("small", "", ` ${line.container}`));
  whose.title = `${line.pod} ${line.container}, start ${line.restart}, ${line.stream}, on ${line.node ?? "no node"}`;
  return element("li", `line ${line.level ?? ""}`, time, element("span", "level", line.level ?? ""), whose, element("span", "text", line.text));
}
