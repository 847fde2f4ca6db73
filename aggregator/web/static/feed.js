// The connection to the feed: it resumes where it was, says when it cannot, and never takes silence for health.

const MAX_WAIT_MS = 30_000;
const FIRST_WAIT_MS = 1_000;
const STALE_HEARTBEATS = 2.5;

export class Feed {
  // `on` is called with (kind, detail): state, items, gap, welcome, snapshot; and lines, with what is said of logs.
  constructor(base, on) {
    this.base = base;
    this.on = on;
    this.token = null;
    this.subscriptions = new Map(); // id -> {topic, filter, snapshot, seq}
    this.journalId = null;
    this.heartbeatMs = 20_000;
    this.heardAt = Date.now();
    this.failures = 0;
    this.socket = null;
    this.timer = null;
    this.retryAt = null;
    addEventListener("online", () => this.retryAt !== null && this.connect());
    setInterval(() => this.watch(), 500);
  }

  subscribe(id, topic, filter, snapshot) {
    this.subscriptions.set(id, { topic, filter, snapshot, seq: null });
    if (this.isOpen()) this.ask(id);
  }

  unsubscribe(id) {
    if (this.subscriptions.delete(id) && this.isOpen()) this.send({ type: "unsubscribe", id });
  }

  isOpen() {
    return this.socket?.readyState === WebSocket.OPEN;
  }

  async connect() {
    clearTimeout(this.timer);
    this.retryAt = null;
    this.on("state", { name: this.failures ? "reconnecting" : "connecting" });
    // Browsers punish failed websockets with waits of their own, so an ordinary request goes first.
    try {
      const health = await fetch(`${this.base}healthz`, { cache: "no-store", signal: AbortSignal.timeout(5_000) });
      if (!health.ok) throw new Error(`healthz answered ${health.status}`);
    } catch {
      this.retry();
      return;
    }
    const url = new URL(`${this.base}api/v1/feed`, location.href);
    url.protocol = url.protocol.replace("http", "ws");
    const socket = new WebSocket(url, ["kubescribe.feed.v1"]);
    this.socket = socket;
    socket.onopen = () => {
      this.heardAt = Date.now();
      const subs = {};
      for (const [id, it] of this.subscriptions) if (it.seq !== null) subs[id] = it.seq;
      const hello = { type: "hello", client: "page" };
      if (this.token) hello.token = this.token;
      if (this.journalId) hello.resume = { journalId: this.journalId, subs };
      this.send(hello);
      for (const id of this.subscriptions.keys()) this.ask(id);
    };
    socket.onmessage = (event) => this.socket === socket && this.take(JSON.parse(event.data));
    socket.onclose = (event) => {
      if (this.socket !== socket) return;
      this.socket = null;
      if (event.code === 4401) this.on("state", { name: "ended" });
      else this.retry();
    };
  }

  ask(id) {
    const { topic, filter, snapshot, seq } = this.subscriptions.get(id);
    this.send({ type: "subscribe", id, topic, filter, ...(seq === null ? { snapshot } : { from: seq }) });
  }

  send(message) {
    this.socket.send(JSON.stringify(message));
  }

  take(message) {
    if (message.type !== "pong") this.heardAt = Date.now();
    const subscription = this.subscriptions.get(message.id);
    if (subscription?.topic === "logs") return this.takeLines(message);
    switch (message.type) {
      case "welcome":
        this.failures = 0;
        this.heartbeatMs = message.heartbeatSeconds * 1000;
        if (this.journalId && this.journalId !== message.journalId) this.on("foreign", message);
        this.journalId = message.journalId;
        this.on("welcome", message);
        this.on("state", { name: "live" });
        break;
      case "delta":
        if (!subscription) break;
        if (subscription.seq !== null && message.prev > subscription.seq) {
          this.on("gap", { cause: "feedBroken", fromSeq: subscription.seq, toSeq: message.prev });
        }
        subscription.seq = message.seq;
        this.on("items", message.items);
        break;
      case "snapshot":
        if (subscription) this.on("items", message.items);
        break;
      case "snapshotEnd":
      case "bookmark":
        if (subscription) subscription.seq = message.seq;
        break;
      case "gap":
        this.on("gap", message);
        break;
      case "ping":
        this.send({ type: "pong", t: message.t });
        break;
      case "error":
        this.on("error", message);
        if (message.retryable && subscription) setTimeout(() => this.isOpen() && this.ask(message.id), 2_000);
        break;
    }
  }

  // Lines have no seq to go on from: after a reconnection the newest come again.
  takeLines(message) {
    const kind = { delta: "items", bookmark: "begin", gap: "gap", error: "error" }[message.type];
    if (kind) this.on("lines", { kind, message });
    if (message.type === "error" && message.retryable) setTimeout(() => this.subscriptions.has(message.id) && this.isOpen() && this.ask(message.id), 2_000);
  }

  retry() {
    const ceiling = Math.min(MAX_WAIT_MS, FIRST_WAIT_MS * 2 ** this.failures++);
    const wait = 250 + Math.random() * ceiling; // full jitter: not everybody comes back at once
    this.retryAt = Date.now() + wait;
    this.timer = setTimeout(() => this.connect(), wait);
    this.on("state", { name: "reconnecting" });
  }

  watch() {
    const silent = Date.now() - this.heardAt;
    if (silent > this.heartbeatMs * STALE_HEARTBEATS && this.isOpen()) {
      const socket = this.socket;
      this.socket = null;
      socket.close();
      this.retry();
    }
    this.on("tick", { silentMs: silent, staleMs: this.heartbeatMs * STALE_HEARTBEATS, retryAt: this.retryAt });
  }
}
