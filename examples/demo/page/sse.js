/*
 * Server-sent events read with fetch, as the WHATWG standard says and as EventSource does,
 * but with what EventSource hides: the comments (": heartbeat", ": dropped N").
 */

/** Turns text, cut anywhere, into `on.event({data, type, id})`, `on.comment(text)`, `on.retry(ms)`. */
export class EventStreamParser {
  #on;
  #rest = "";
  #afterCR = false;
  #data = [];
  #type = "";
  #id;

  constructor(on, lastEventId = "") {
    this.#on = on;
    this.#id = lastEventId;
  }

  feed(text) {
    if (text === "") return;
    if (this.#afterCR && text[0] === "\n") text = text.slice(1);
    this.#afterCR = text.endsWith("\r");
    const lines = (this.#rest + text).split(/\r\n|\r|\n/);
    this.#rest = lines.pop();
    for (const line of lines) this.#line(line);
  }

  #line(line) {
    if (line === "") return this.#dispatch();
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "") this.#on.comment?.(value);
    else if (field === "data") this.#data.push(value);
    else if (field === "event") this.#type = value;
    else if (field === "id" && !value.includes("\0")) this.#id = value;
    else if (field === "retry" && /^[0-9]+$/.test(value)) this.#on.retry?.(Number(value));
  }

  #dispatch() {
    const event = { data: this.#data.join("\n"), type: this.#type || "message", id: this.#id };
    const empty = this.#data.length === 0;
    this.#data = [];
    this.#type = "";
    if (!empty) this.#on.event?.(event);
  }
}

/** The text of a response, piece by piece; each is read when `ready()` has come true. */
export async function* pieces(response, ready = async () => {}) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    await ready();
    const { done, value } = await reader.read();
    if (done) return;
    yield value;
  }
}

/** Fetch, and try again for as long as nobody answers: whoever took the request may be no more. */
export async function fetchUntilAnswered(url, options) {
  for (;;) {
    const response = await fetch(url, options).catch(() => null);
    if (response && response.status !== 503) return response;
    await sleep(500);
  }
}

const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/**
 * A stream of events that connects again whenever it ends, from the last event id on.
 * `on` is the parser's, and `state`: "connecting", "live" or "reconnecting"; `open` is given each
 * response.
 */
export class EventStream {
  #on;
  #retry = 3000;
  #connection;
  #reading;
  #lastEventId = "";

  constructor(on) {
    this.#on = on;
  }

  /** Follow `url` from now on, in place of the one before: from this event on, if it is given. */
  async open(url, lastEventId = this.#lastEventId) {
    this.#connection?.abort();
    this.#lastEventId = lastEventId;
    const connection = (this.#connection = new AbortController());
    this.#on.state("connecting");
    while (!connection.signal.aborted) {
      await this.#read(url, connection.signal).catch(() => {});
      if (connection.signal.aborted) return;
      this.#on.state("reconnecting");
      await sleep(this.#retry);
    }
  }

  /** Lose the connection, as a phone does in a tunnel. */
  drop() {
    this.#reading?.abort();
  }

  async #read(url, connection) {
    this.#reading = new AbortController();
    const signal = AbortSignal.any([connection, this.#reading.signal]);
    const headers = this.#lastEventId ? { "Last-Event-ID": this.#lastEventId } : {};
    const response = await fetch(url, { headers, signal, cache: "no-store" });
    if (!response.ok) throw new Error(response.statusText);
    this.#on.open?.(response);
    this.#on.state("live");
    const parser = new EventStreamParser(
      {
        ...this.#on,
        retry: (milliseconds) => (this.#retry = milliseconds),
        event: (event) => {
          this.#lastEventId = event.id;
          this.#on.event(event);
        },
      },
      this.#lastEventId,
    );
    for await (const piece of pieces(response)) parser.feed(piece);
  }
}
