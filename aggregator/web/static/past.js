// What a link asks for, read from the API: the feed begins with the newest hundred records, of which a link's time may
// hold many more. Where there are more than are listed, or gaps touch the time, it is told.

import { moment } from "./rows.js";

const MOST = 900; // of each topic, so that both and their gaps are no more than the list holds
const MAX_PAGES = 20;
const WORDS = { changes: "changes", occurrences: "events", gaps: "gaps" };

// Resolves with {items, words, whole}, items by seq; with null where a token is needed. Throws with words for a person.
export async function readPast(base, token, { show, ...filter }) {
  if (filter.from && filter.to && Date.parse(filter.from) > Date.parse(filter.to)) throw new Error("This time ends before it begins.");
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  const { from, to } = filter;
  const asked = show === "gaps" ? { gaps: { ...(from && { from }), ...(to && { to }) } } : { changes: filter, occurrences: filter };
  const answers = await Promise.all(
    Object.entries(asked).map(([topic, parameters]) => {
      const query = new URLSearchParams({ ...parameters, limit: MOST });
      return readPages(topic, `${base}api/v1/${topic}?${query}`, headers);
    }),
  );
  return answers.includes(null) ? null : told(answers);
}

// An answer that takes long ends early, with the place from which to go on.
async function readPages(topic, url, headers) {
  const items = [];
  let first;
  for (let page = 0; url && page < MAX_PAGES && items.length < MOST; page += 1) {
    const answer = await fetch(url, { headers, cache: "no-store", signal: AbortSignal.timeout(60_000) });
    if (answer.status === 401) return null;
    const body = await answer.json();
    if (!answer.ok) throw new Error(body.detail);
    items.push(...body.items);
    first ??= body;
    url = body.next;
  }
  return { topic, items: items.slice(0, MOST), more: Boolean(url) || items.length > MOST, complete: first.complete, gaps: first.gaps };
}

function told(answers) {
  const found = new Map();
  for (const { items, gaps } of answers) for (const it of [...items, ...gaps]) if (it.seq) found.set(`${it.type} ${it.seq}`, it);
  const counts = answers.map(({ topic, items, more }) => `${more ? "the newest " : ""}${items.length.toLocaleString()} ${WORDS[topic]}`);
  const isMore = answers.some(({ more }) => more);
  const { complete, gaps } = answers[0];
  const before = gaps.find(({ cause }) => cause === "unrecorded");
  const unseen = gaps.length - (before ? 1 : 0);
  const words = [
    `Found: ${counts.join(", ")}.`,
    isMore ? "There are more before these: narrow the time, or the filters." : "",
    before ? `Recorded only since ${before.to ? moment(before.to) : "now"}.` : "",
    unseen ? `Not whole: ${unseen} ${unseen === 1 ? "gap touches" : "gaps touch"} this time.` : "",
  ];
  return { items: [...found.values()].sort((a, b) => a.seq - b.seq), words: words.filter(Boolean).join(" "), whole: complete && !isMore };
}
