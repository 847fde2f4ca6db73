// What a link asks for, read from the API: the feed begins with the newest hundred records, of which a link's time may
// hold many more. Where there are more than are listed, or gaps touch the time, it is told.

const MOST = 900; // of each topic, so that both and their gaps are no more than the list holds
const WORDS = { changes: "changes", occurrences: "events", gaps: "gaps" };

// Resolves with {items, words, whole}, items by seq; with null where a token is needed. Throws with words for a person.
export async function readPast(base, token, { show, ...filter }) {
  if (filter.from && filter.to && Date.parse(filter.from) > Date.parse(filter.to)) throw new Error("This time ends before it begins.");
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  const { from, to } = filter;
  const asked = show === "gaps" ? { gaps: { ...(from && { from }), ...(to && { to }) } } : { changes: filter, occurrences: filter };
  const answers = await Promise.all(
    Object.entries(asked).map(async ([topic, parameters]) => {
      const query = new URLSearchParams({ ...parameters, limit: MOST });
      const answer = await fetch(`${base}api/v1/${topic}?${query}`, { headers, cache: "no-store", signal: AbortSignal.timeout(60_000) });
      if (answer.status === 401) return null;
      const body = await answer.json();
      if (!answer.ok) throw new Error(body.detail);
      return { topic, ...body };
    }),
  );
  return answers.includes(null) ? null : told(answers);
}

function told(answers) {
  const found = new Map();
  for (const { items, gaps } of answers) for (const it of [...items, ...gaps]) if (it.seq) found.set(`${it.type} ${it.seq}`, it);
  const counts = answers.map(({ topic, items, next }) => `${next ? "the newest " : ""}${items.length.toLocaleString()} ${WORDS[topic]}`);
  const more = answers.some(({ next }) => next);
  const { complete, gaps } = answers[0];
  const words = [
    `Found: ${counts.join(", ")}.`,
    more ? "There are more before these: narrow the time, or the filters." : "",
    complete ? "" : `Not whole: ${gaps.length} ${gaps.length === 1 ? "gap touches" : "gaps touch"} this time.`,
  ];
  return { items: [...found.values()].sort((a, b) => a.seq - b.seq), words: words.filter(Boolean).join(" "), whole: complete && !more };
}
