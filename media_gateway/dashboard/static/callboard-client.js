/**
 * Follow calls live over `callboard.v1`, each durable event once and in order, whatever the line does.
 *
 * No dependencies; runs in browsers, and wherever else there is a `WebSocket`. The protocol is in docs/live-events.md.
 *
 *     import { CallboardClient } from "/static/callboard-client.js";
 *
 *     const client = new CallboardClient({
 *       ticket: async () => (await post("/ws-ticket")).ticket,   // asked for anew before every connection
 *       get: async (path) => (await fetch(path, { headers })).json(),  // the REST journal, for when no socket can be had
 *       onHeads: (heads) => ...,      // `*`: the calls that go on, at the start and after every reconnect
 *       onEvent: (event) => ...,      // {call_id, epoch, seq, event, ts, data}: seq 1, 2, 3 ... for every call
 *       onSnapshot: (snapshot) => ..., // {call_id, epoch, seq, state}: forget the call, go on from here
 *       onLive: (moment) => ...,      // {call_id, live_epoch, n, event, ts, data}: at most once
 *       onGap: (gap) => ...,          // moments that were dropped
 *       onState: (state) => ...,      // {phase: "connecting" | "live" | "waiting" | "polling" | "stopped", ...}
 *     });
 *     client.watchAll();              // every call of the organisation, from now on
 *     client.watch("CA1");            // one call (any of its ids) from its first event; or with {since: {epoch, seq}}
 *     client.stop();
 *
 * A call that `watchAll` tells of at the start (`onHeads`) has a past that is not sent: `watch` it to have it all, or
 * read `GET /api/v1/calls/{id}/events`, and say with `seen(callId, epoch, seq)` how far you have read.
 */

const SUBPROTOCOL = "callboard.v1";
const BASE_MS = 500;
const CAP_MS = 30000;
const SPREAD_MS = 5000; // after a planned close: not everybody at once
const TOO_MANY_MS = 30000;
const SILENCE_MS = 40000;
const POLL_MS = 2000;
const POLL_AFTER = 2; // failed attempts before the journal is polled meanwhile
const AT_ONCE = 8; // commands without an answer
const COMMAND_MS = 60; // between two commands: under 20 a second
const DONE_LIMIT = 500; // calls told to their end that are remembered, so that a late double of theirs is known for one
const TERMINAL = new Set(["completed", "failed", "busy", "no_answer", "canceled"]);

/** @typedef {{epoch?: string, seq: number}} Since */
/** @typedef {{type: "event", call_id: string, epoch: string, seq: number, event: string, ts: string, data: any}} DurableEvent */
/** @typedef {{type: "live", call_id: string, live_epoch: string, n: number, event: string, ts: string, data: any}} Moment */
/** @typedef {{type: "gap", call_id: string, lane: "live", live_epoch: string, from: number, to: number}} Gap */
/** @typedef {{type: "snapshot", call_id: string, epoch: string, seq: number, state: Record<string, any>}} Snapshot */
/** @typedef {Record<string, any> & {call_id: string, epoch: string, seq: number, status: string}} Head */
/**
 * @typedef {object} ConnectionState
 * @property {"connecting" | "live" | "waiting" | "polling" | "stopped"} phase
 * @property {number} retryAt when the next attempt is made (ms since 1970), 0 unless waiting or polling
 * @property {boolean} degraded the server has lost its store: what is shown may be old
 * @property {number} code why the last connection ended, 0 if none has
 * @property {string} reason
 */
/**
 * @typedef {object} Options
 * @property {() => Promise<string>} ticket a fresh ticket (`POST /ws-ticket`). Throw an error with a true `fatal` to stop
 * @property {((path: string) => Promise<any>)} [get] an authorised GET of a path of this gateway, parsed
 * @property {string} [url] of the socket; by default that of the page's own gateway
 * @property {boolean} [live] also moments that are kept nowhere (true)
 * @property {(heads: Head[], info: {resumed: boolean, complete: boolean}) => void} [onHeads]
 * @property {(event: DurableEvent) => void} [onEvent]
 * @property {(snapshot: Snapshot) => void} [onSnapshot]
 * @property {(moment: Moment) => void} [onLive]
 * @property {(gap: Gap) => void} [onGap]
 * @property {(state: ConnectionState) => void} [onState]
 * @property {(error: {code: string, message: string, retry: boolean}, callId: string) => void} [onError] a
 *   subscription that was refused
 * @property {typeof WebSocket} [WebSocket]
 * @property {() => number} [random]
 */

/** @param {number} attempt 0, 1, 2 ... @param {() => number} random @returns {number} ms, full jitter */
export function delay(attempt, random = Math.random) {
  return random() * Math.min(CAP_MS, BASE_MS * 2 ** Math.min(attempt, 10));
}

/**
 * What a close code asks for.
 * @param {number} code @returns {"stop" | "ticket" | "later" | "spread" | "again"}
 */
export function verdict(code) {
  if (code === 4401) return "ticket";
  if (code === 4405) return "again";
  if (code === 4429) return "later";
  if (code === 1009 || (code >= 4400 && code < 4500)) return "stop";
  if (code === 1001 || code === 1012 || code === 4501) return "spread";
  return "again";
}

/** How far each call was told: what makes an event new, old, or proof of a hole. */
export class Progress {
  constructor() {
    /** @type {Map<string, {epoch: string, seq: number, done: boolean}>} */
    this.calls = new Map();
    /** Told to their end, the latest last. @type {Set<string>} */
    this._over = new Set();
  }

  /** @param {string} callId @returns {Since | undefined} */
  since(callId) {
    const known = this.calls.get(callId);
    return known && { epoch: known.epoch, seq: known.seq };
  }

  /** Told up to here, by whatever way. @param {string} callId @param {string} epoch @param {number} seq */
  set(callId, epoch, seq) {
    this.calls.set(callId, { epoch, seq, done: false });
  }

  /**
   * @param {{call_id: string, epoch: string, seq: number, event: string}} event
   * @returns {"new" | "old" | "hole"}
   */
  take(event) {
    const known = this.calls.get(event.call_id) ?? { epoch: event.epoch, seq: 0, done: false };
    if (known.epoch && event.epoch !== known.epoch) return "hole";
    if (event.seq <= known.seq) return "old";
    if (event.seq > known.seq + 1) return "hole";
    const done = known.done || event.event === "call_completed";
    this.calls.set(event.call_id, { epoch: event.epoch, seq: event.seq, done });
    return "new";
  }

  /** A call was told to its end. Of many such the first are forgotten: a page stays open for weeks. @param {string} callId */
  over(callId) {
    const known = this.calls.get(callId);
    if (!known) return;
    known.done = true;
    this._over.delete(callId);
    this._over.add(callId);
    const [oldest] = this._over;
    if (this._over.size <= DONE_LIMIT) return;
    this._over.delete(oldest);
    this.calls.delete(oldest);
  }
}

export class CallboardClient {
  /** @param {Options} options */
  constructor(options) {
    this.options = options;
    this.progress = new Progress();
    /** @type {ConnectionState} */
    this.state = { phase: "connecting", retryAt: 0, degraded: false, code: 0, reason: "" };
    /** Calls with a subscription of their own that is wanted: the id as it was given -> where it starts.
     * @type {Map<string, Since | undefined>} */
    this._wanted = new Map();
    this._all = false;
    /** True once it was told, by whatever way, which calls go on: others are new. */
    this._began = false;
    /** @type {string | undefined} */
    this._cursor = undefined;
    /** @type {WebSocket | null} */
    this._socket = null;
    this._failures = 0;
    this._badTickets = 0;
    this._heard = 0;
    this._id = 0;
    /** @type {Map<number, (reply: any) => void>} */
    this._replies = new Map();
    /** @type {Array<{command: any, done: (reply: any) => void}>} */
    this._queue = [];
    /** Subscriptions that this connection has, by the id they were made with. @type {Set<string>} */
    this._subscribed = new Set();
    /** @type {Set<string>} calls whose hole is being filled */
    this._mending = new Set();
    /** Where calls that are being mended land. @type {Map<string, {head: number, done: boolean}>} */
    this._landing = new Map();
    this._stopped = false;
    this._started = false;
    /** @type {any} */ this._timer = 0;
    /** @type {any} */ this._watchdog = 0;
    /** @type {any} */ this._pacer = 0;
    this._polling = false;
    this._now = () => this._retryNow();
  }

  /** Every call of the organisation, from now on. */
  watchAll() {
    this._all = true;
    this._start();
    if (this._live()) this._subscribeAll();
  }

  /**
   * One call, by any of its ids; from its first event, or after `since`.
   * @param {string} id @param {{since?: Since}} [from]
   */
  watch(id, { since } = {}) {
    if (this._wanted.has(id)) return;
    this._wanted.set(id, since);
    if (since?.epoch !== undefined) this.progress.set(id, since.epoch, since.seq);
    else if (!this.progress.calls.has(id) || !since) this.progress.calls.delete(id);
    this._start();
    if (this._live()) this._subscribe(id);
  }

  /** @param {string} id */
  unwatch(id) {
    if (!this._wanted.delete(id)) return;
    if (this._subscribed.delete(id)) this._command({ type: "unsubscribe", call_id: id }, () => {});
  }

  /** The journal was read elsewhere: events up to `seq` are known. @param {string} callId @param {string} epoch @param {number} seq */
  seen(callId, epoch, seq) {
    const known = this.progress.calls.get(callId);
    if (!known || known.epoch !== epoch || known.seq < seq) this.progress.set(callId, epoch, seq);
  }

  /** Leave; nothing is told any more. */
  stop() {
    this._end(0, "");
  }

  /** The network is gone, as the browser knows: do not wait until the silence says so. */
  lost() {
    const socket = this._socket;
    if (!socket) return;
    this._closed(socket, 1006, "offline");
    socket.close();
  }

  // -- the line -------------------------------------------------------------------------------------------------------

  _start() {
    if (this._started) return;
    this._started = true;
    globalThis.addEventListener?.("online", this._now);
    void this._attempt();
  }

  _live() {
    return this.state.phase === "live";
  }

  /** @param {Partial<ConnectionState>} change */
  _say(change) {
    this.state = { ...this.state, ...change };
    this.options.onState?.(this.state);
  }

  async _attempt() {
    clearTimeout(this._timer);
    if (!this._polling) this._say({ phase: "connecting", retryAt: 0 });
    let ticket;
    try {
      ticket = await this.options.ticket();
    } catch (error) {
      if (/** @type {any} */ (error)?.fatal) this._end(4401, "no ticket");
      else this._again(0, "no ticket");
      return;
    }
    if (this._stopped) return;
    let socket;
    try {
      socket = new (this.options.WebSocket ?? WebSocket)(this.options.url ?? ownAddress(), SUBPROTOCOL);
    } catch {
      this._again(0, "no socket");
      return;
    }
    this._socket = socket;
    this._heard = Date.now();
    this._watch(socket);
    socket.onopen = () => this._connect(ticket);
    socket.onmessage = (frame) => {
      if (socket === this._socket) this._take(JSON.parse(frame.data));
    };
    socket.onclose = (ended) => this._closed(socket, ended.code, ended.reason);
    socket.onerror = () => {}; // a close follows
  }

  /** A dead line is closed by nobody. @param {WebSocket} socket */
  _watch(socket) {
    clearInterval(this._watchdog);
    this._watchdog = setInterval(() => {
      if (Date.now() - this._heard <= SILENCE_MS) return;
      socket.close();
      this._closed(socket, 1006, "silent");
    }, 5000);
  }

  /** @param {string} ticket */
  _connect(ticket) {
    this._queue = [];
    this._replies.clear();
    this._subscribed.clear();
    this._mending.clear();
    this._landing.clear();
    this._id = 0;
    const hello = { type: "connect", token: ticket, client: "callboard-client.js/1" };
    this._command(hello, (reply) => {
      if (!reply.ok) return;
      this._failures = 0;
      this._badTickets = 0;
      this._polling = false;
      this._say({ phase: "live", retryAt: 0, degraded: false, code: 0, reason: "" });
      if (this._all) this._subscribeAll();
      for (const id of this._wanted.keys()) this._subscribe(id);
    });
  }

  /** @param {WebSocket} socket @param {number} code @param {string} reason */
  _closed(socket, code, reason) {
    if (socket !== this._socket) return;
    this._socket = null;
    clearInterval(this._watchdog);
    clearTimeout(this._pacer);
    this._pacer = 0;
    const what = verdict(code);
    if (what === "ticket") this._badTickets += 1;
    if (what === "stop" || this._badTickets > 1) this._end(code, reason);
    else this._again(code, reason);
  }

  /** @param {number} code @param {string} reason */
  _again(code, reason) {
    if (this._stopped) return;
    const random = this.options.random ?? Math.random;
    const what = verdict(code);
    let wait = delay(this._failures, random);
    if (what === "later") wait = TOO_MANY_MS + random() * SPREAD_MS;
    else if (what === "spread" && this._failures === 0) wait = random() * SPREAD_MS;
    this._failures += 1;
    const polling = Boolean(this.options.get) && this._failures > POLL_AFTER;
    this._say({ phase: polling ? "polling" : "waiting", retryAt: Date.now() + wait, code, reason });
    if (polling && !this._polling) {
      this._polling = true;
      void this._poll();
    }
    clearTimeout(this._timer);
    this._timer = setTimeout(() => void this._attempt(), wait);
  }

  _retryNow() {
    if (this.state.phase === "waiting" || this.state.phase === "polling") void this._attempt();
  }

  /** @param {number} code @param {string} reason */
  _end(code, reason) {
    if (this._stopped) return;
    this._stopped = true;
    this._polling = false;
    clearTimeout(this._timer);
    clearTimeout(this._pacer);
    clearInterval(this._watchdog);
    globalThis.removeEventListener?.("online", this._now);
    const socket = this._socket;
    this._socket = null;
    socket?.close();
    this._say({ phase: "stopped", retryAt: 0, code, reason });
  }

  // -- commands -------------------------------------------------------------------------------------------------------

  /** In order, few at a time and not too fast: the server refuses floods. @param {any} command @param {(reply: any) => void} done */
  _command(command, done) {
    this._queue.push({ command, done });
    this._flush();
  }

  _flush() {
    if (this._pacer || !this._queue.length || this._replies.size >= AT_ONCE || this._socket?.readyState !== 1) return;
    const { command, done } = /** @type {any} */ (this._queue.shift());
    this._id += 1;
    this._replies.set(this._id, done);
    this._socket.send(JSON.stringify({ id: this._id, ...command }));
    this._pacer = setTimeout(() => {
      this._pacer = 0;
      this._flush();
    }, COMMAND_MS);
  }

  _lanes() {
    return this.options.live === false ? ["durable"] : ["durable", "live"];
  }

  _subscribeAll() {
    const resumed = this._began;
    const since = this._cursor === undefined ? {} : { since: { cursor: this._cursor } };
    this._command({ type: "subscribe", call_id: "*", lanes: this._lanes(), ...since }, (reply) => {
      if (reply.ok) this._heads(reply.result, resumed);
      else this._refused("*", reply.error, () => this._subscribeAll());
    });
  }

  /** @param {any} result @param {boolean} resumed */
  _heads(result, resumed) {
    this._cursor = result.cursor;
    this._began = true;
    const before = new Map(this.progress.calls);
    for (const head of result.heads) {
      const known = before.get(head.call_id);
      if (known && known.epoch === head.epoch && known.seq >= head.seq) continue;
      if (known) this._mend(head.call_id);
      else if (resumed) {
        this.progress.set(head.call_id, head.epoch, 0);
        this._mend(head.call_id);
      } else this._begin(head);
    }
    // Calls that went on when the line broke, and are over since too long to be among the heads.
    const named = new Set(result.heads.map((/** @type {Head} */ head) => head.call_id));
    for (const [id, known] of before) if (resumed && !known.done && !named.has(id)) this._mend(id);
    this.options.onHeads?.(result.heads, { resumed, complete: result.recovered !== false });
  }

  /** A call that goes on already, and is told from now on; unless it is watched for itself. @param {Head} head */
  _begin(head) {
    const names = [head.call_id, head.call_sid, head.conversation_id];
    if (!names.some((name) => this._wanted.has(name))) this.progress.set(head.call_id, head.epoch, head.seq);
  }

  /** @param {string} id */
  _subscribe(id) {
    if (this._subscribed.has(id)) return;
    this._subscribed.add(id);
    this._mending.add(id); // what `*` brings meanwhile is told by the answer to this
    const since = this.progress.since(id) ?? this._wanted.get(id) ?? { seq: 0 };
    this._command({ type: "subscribe", call_id: id, lanes: this._lanes(), since }, (reply) => {
      this._mending.delete(id);
      if (reply.ok) {
        const { call_id: callId, epoch } = reply.result;
        if (callId !== id) this._known(id, callId);
        if (!this.progress.calls.has(callId)) this.progress.set(callId, epoch, since.seq);
        if (reply.result.done && reply.result.replayed === 0) this._over(callId);
      } else {
        this._subscribed.delete(id);
        this._refused(id, reply.error, () => this._wanted.has(id) && this._subscribe(id));
      }
    });
  }

  /** Another of a call's ids was used: from now on it goes by its call id. @param {string} id @param {string} callId */
  _known(id, callId) {
    const since = this._wanted.get(id);
    const known = this.progress.calls.get(id);
    if (this._wanted.delete(id)) this._wanted.set(callId, since);
    this._subscribed.delete(id);
    this._subscribed.add(callId);
    if (known) {
      this.progress.calls.delete(id);
      if (!this.progress.calls.has(callId)) this.progress.calls.set(callId, known);
    }
  }

  /** @param {string} id @param {{code: string, message: string, retry: boolean}} error @param {() => void} again */
  _refused(id, error, again) {
    this.options.onError?.(error, id);
    const socket = this._socket;
    if (error.retry) setTimeout(() => socket && socket === this._socket && again(), POLL_MS);
  }

  /** Have a call told again from where it stands. @param {string} callId */
  _mend(callId) {
    if (this._mending.has(callId)) return;
    this._mending.add(callId);
    if (this._subscribed.delete(callId)) this._command({ type: "unsubscribe", call_id: callId }, () => {});
    const since = this.progress.since(callId) ?? { seq: 0 };
    this._command({ type: "subscribe", call_id: callId, lanes: this._lanes(), since }, (reply) => {
      this._mending.delete(callId);
      if (!reply.ok) return this._refused(callId, reply.error, () => this._mend(callId));
      const { epoch, head, done } = reply.result;
      if (!this.progress.calls.has(callId)) this.progress.set(callId, epoch, 0);
      this._subscribed.add(callId);
      this._letGo(callId, head, done);
      return undefined;
    });
  }

  /** Mended: `*` tells the rest, and its place among the subscriptions is free again. @param {string} callId @param {number} head @param {boolean} done */
  _letGo(callId, head, done) {
    const known = this.progress.calls.get(callId);
    if (!this._subscribed.has(callId) || this._wanted.has(callId) || !this._all) return;
    if (done && known && known.seq >= head) this._over(callId);
    else if (known && known.seq >= head) {
      this._subscribed.delete(callId);
      this._command({ type: "unsubscribe", call_id: callId }, () => {});
    } else this._landing.set(callId, { head, done });
  }

  /** A call has been told to its end: the server has let it go, too. @param {string} callId */
  _over(callId) {
    this._subscribed.delete(callId);
    this._wanted.delete(callId);
    this.progress.over(callId);
  }

  // -- frames ---------------------------------------------------------------------------------------------------------

  /** @param {any} message */
  _take(message) {
    this._heard = Date.now();
    switch (message.type) {
      case "event":
        this._event(message);
        break;
      case "live":
        this.options.onLive?.(message);
        break;
      case "gap":
        this.options.onGap?.(message);
        break;
      case "snapshot":
        this.progress.set(message.call_id, message.epoch, message.seq);
        this._land(message.call_id, message.seq);
        if (TERMINAL.has(message.state?.status)) this._over(message.call_id);
        this.options.onSnapshot?.(message);
        break;
      case "reply": {
        const done = this._replies.get(message.id);
        this._replies.delete(message.id);
        done?.(message);
        this._flush();
        break;
      }
      case "ping":
        this._cursor = message.cursor ?? this._cursor;
        this._socket?.send('{"type":"pong"}');
        break;
      case "degraded":
        this._say({ degraded: true });
        break;
      case "restored":
        this._say({ degraded: false });
        break;
      default: // of a newer server
    }
  }

  /** @param {DurableEvent} event */
  _event(event) {
    const verdict = this.progress.take(event);
    if (verdict === "hole") {
      this._mend(event.call_id);
      return;
    }
    if (verdict === "new") {
      if (event.event === "call_completed") this._over(event.call_id);
      this.options.onEvent?.(event);
    }
    this._land(event.call_id, event.seq);
  }

  /** @param {string} callId @param {number} seq */
  _land(callId, seq) {
    const landing = this._landing.get(callId);
    if (!landing || seq < landing.head) return;
    this._landing.delete(callId);
    this._letGo(callId, landing.head, landing.done);
  }

  // -- without a socket -----------------------------------------------------------------------------------------------

  /** Read the journal every two seconds, after what is known, until there is a socket again. */
  async _poll() {
    while (this._polling && !this._stopped) {
      try {
        await this._pollOnce();
      } catch {
        // The server is away altogether; the next round asks again.
      }
      await new Promise((resume) => setTimeout(resume, POLL_MS));
    }
  }

  async _pollOnce() {
    const get = /** @type {(path: string) => Promise<any>} */ (this.options.get);
    if (this._all) {
      const { calls } = await get("/api/v1/calls?limit=200");
      if (!this._polling) return;
      const first = !this._began;
      this._began = true;
      this.options.onHeads?.(calls, { resumed: !first, complete: true });
      for (const head of calls) {
        const known = this.progress.calls.get(head.call_id);
        if (first) this._begin(head);
        else if (known ? known.epoch !== head.epoch || known.seq < head.seq : !TERMINAL.has(head.status)) {
          await this._readOn(head.call_id);
        }
      }
    }
    for (const id of [...this._wanted.keys()]) if (this._polling) await this._readOn(id);
  }

  /** @param {string} id */
  async _readOn(id) {
    const get = /** @type {(path: string) => Promise<any>} */ (this.options.get);
    for (;;) {
      const after = this.progress.since(id)?.seq ?? this._wanted.get(id)?.seq ?? 0;
      const page = await get(`/api/v1/calls/${encodeURIComponent(id)}/events?after=${after}`);
      const known = this.progress.since(id);
      if (!this._polling) return;
      if (known?.epoch && known.epoch !== page.epoch) {
        const state = await get(`/api/v1/calls/${encodeURIComponent(id)}`);
        this._take({ type: "snapshot", call_id: state.call_id, epoch: state.epoch, seq: state.seq, state });
        return;
      }
      if (!known && after && page.events.length) this.progress.set(page.events[0].call_id, page.epoch, after);
      for (const { type, ...rest } of page.events) {
        this._take({ ...rest, type: "event", event: type === "turn_metrics" ? "metrics_updated" : type });
      }
      if (page.events.length && page.events[0].call_id !== id) this._known(id, page.events[0].call_id);
      if (!page.events.length || page.events.at(-1).seq >= page.seq) return;
      id = page.events[0].call_id;
    }
  }
}

function ownAddress() {
  return `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws/v1`;
}
