// Records to rows. The list holds MAX_ROWS and no more, is drawn once a frame, and stands still while paused.

export const MAX_ROWS = 2_000;

const WORKLOADS = new Set(["Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob", "Rollout", "ReplicationController"]);

// What a click on an object of this kind shows: a parameter of GET logs; undefined for what has no lines.
function parameterOf(kind) {
  return kind === "Pod" ? "pod" : WORKLOADS.has(kind) ? "workload" : undefined;
}

const VERBS = {
  added: ["+", "added"],
  modified: ["~", "modified"],
  deleted: ["−", "deleted"],
  inferredDeleted: ["−", "gone, unseen"],
};

export function element(tag, className, ...children) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.append(...children);
  return made;
}

// The time of day, behind the date where it is not today's.
export function moment(time) {
  const [at, now] = [new Date(time), new Date()];
  if (at.toDateString() === now.toDateString()) return clock(time);
  return `${at.toLocaleDateString([], { month: "2-digit", day: "2-digit" })} ${at.toLocaleTimeString([], { hour12: false })}`;
}

export function clock(time) {
  return time ? new Date(time).toLocaleTimeString([], { hour12: false }) + "." + time.slice(20, 23) : "";
}

function short(value) {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return text === undefined ? "" : text.length > 60 ? `${text.slice(0, 57)}…` : text;
}

function described(diff) {
  const how = element("span", "how");
  for (const { path, old, new: now } of diff.slice(0, 3)) {
    if (how.childNodes.length) how.append("  ");
    const parts = path.map(named);
    const where = element("span", "path", joined(parts.slice(-3))); // the end says most; the whole is in the title
    where.title = joined(parts);
    how.append(where, " ");
    if (old !== null && old !== undefined) how.append(element("del", "", short(old)), " ");
    if (now !== null && now !== undefined) how.append(element("ins", "", short(now)));
  }
  if (diff.length > 3) how.append(`  +${diff.length - 3} more`);
  return how;
}

function object(kind, namespace, name) {
  const what = [element("small", "", `${kind} `), namespace ? `${namespace}/${name}` : name];
  const parameter = parameterOf(kind);
  if (!parameter) return element("span", "object", ...what);
  const button = element("button", "object", ...what);
  button.type = "button";
  button.title = "Show its lines";
  Object.assign(button.dataset, { lines: parameter, namespace, name });
  return button;
}

const RENDER = {
  change(it) {
    const seen = it.listed && it.verb === "added";
    const [glyph, word] = seen ? ["·", "seen"] : VERBS[it.verb];
    const verb = seen ? "listed" : it.verb === "inferredDeleted" ? "deleted" : it.verb;
    const actor = it.actor;
    const who = element("span", "who", actor ? actor.manager : "");
    if (actor?.operation) who.append(element("small", "", ` ${actor.operation}`));
    let how = element("span", "how", it.verb === "added" ? (seen ? "was there when watching began" : "") : "");
    if (it.diff) how = described(it.diff);
    else if (it.interval) how.append(`between ${clock(it.interval.after)} and ${clock(it.interval.before)}`);
    if (it.late) how.prepend("late: ");
    return [`change ${verb}`, `${glyph} ${word}`, object(it.kind, it.namespace, it.name), who, how, it.observedAt];
  },
  occurrence(it) {
    const level = it.eventType === "Warning" ? "warning" : "normal";
    const about = it.regarding;
    const times = it.count > 1 ? ` ×${it.count}` : "";
    return [
      `occurrence ${level}`,
      `${level === "warning" ? "!" : "i"} ${it.reason}${times}`,
      object(about.kind, about.namespace, about.name),
      element("span", "who", it.reporter),
      element("span", "how", it.message),
      it.observedAt,
    ];
  },
  gap(it) {
    const until = it.to ? `until ${clock(it.to)}` : "still open";
    const outcome = { open: "? gap, open", lost: "? gap, lost", recovered: "✓ gap, made good" }[it.outcome];
    const counted = it.count === null || it.count === undefined ? "" : `, ${it.count} records`;
    return [
      `gap ${it.outcome}`,
      outcome,
      element("span", "object", it.stream),
      element("span", "who", it.cause),
      element("span", "how", `unseen from ${clock(it.from)} ${until}${counted}${it.detail ? `: ${it.detail}` : ""}`),
      it.committedAt,
    ];
  },
  presence(it) {
    const how = element("span", "how", it.node ? `on ${it.node}` : it.scope);
    const word = it.state === "came" ? "→ agent came" : "← agent went";
    return ["presence", word, element("span", "object", it.agent), element("span", "who", ""), how, it.observedAt];
  },
};

export class Rows {
  constructor(list, onChange) {
    this.list = list;
    this.onChange = onChange;
    this.queue = [];
    this.skipped = 0;
    this.paused = false;
    this.drawn = new Map(); // gap id -> row
    this.frame = 0;
  }

  add(records) {
    for (const record of records) if (RENDER[record.type]) this.queue.push(record);
    if (this.queue.length > MAX_ROWS) {
      this.skipped += this.queue.length - MAX_ROWS;
      this.queue.splice(0, this.queue.length - MAX_ROWS);
    }
    this.schedule();
  }

  clear() {
    this.queue = [];
    this.skipped = 0;
    this.drawn.clear();
    this.list.replaceChildren();
    this.schedule();
  }

  pause(paused) {
    this.paused = paused;
    this.schedule();
  }

  schedule() {
    if (!this.frame) this.frame = requestAnimationFrame(() => this.draw());
  }

  draw() {
    this.frame = 0;
    if (!this.paused) {
      for (const record of this.queue) this.place(record);
      this.queue = [];
      while (this.list.childElementCount > MAX_ROWS) {
        const last = this.list.lastElementChild;
        if (this.drawn.get(last.dataset.gap) === last) this.drawn.delete(last.dataset.gap);
        last.remove();
      }
    }
    this.onChange({ waiting: this.queue.length, skipped: this.skipped, count: this.list.childElementCount });
    if (!this.paused) this.skipped = 0;
  }

  place(record) {
    const [className, what, thing, who, how, when] = RENDER[record.type](record);
    const time = element("time", "when", moment(when));
    time.dateTime = when;
    time.title = `${when}, seq ${record.seq}`;
    const row = element("li", `row ${className}`, time, element("span", "what", what), thing, who, how);
    row.dataset.seq = record.seq;
    if (record.type === "gap") {
      // What is said of a gap later takes its row: a gap is one thing, open or closed.
      const before = this.drawn.get(record.id);
      if (before && Number(before.dataset.seq) >= record.seq) return;
      before?.remove();
      row.dataset.gap = record.id;
      this.drawn.set(record.id, row);
    }
    let next = this.list.firstElementChild;
    while (next && Number(next.dataset.seq) > record.seq) next = next.nextElementSibling;
    if (Number(next?.dataset.seq) === record.seq) return; // it came twice: read, and in the feed
    this.list.insertBefore(row, next);
  }
}

// An item of a list is told by its merge key: `containers[app].image`, `conditions[Ready].status`.
function named(part) {
  if (typeof part === "string") return part;
  return typeof part === "number" ? `[${part}]` : `[${Object.values(part).join(",")}]`;
}

function joined(parts) {
  return parts.join(".").replaceAll(".[", "[");
}
