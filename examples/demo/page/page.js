import { Plot } from "./plot.js";
import { COUNTERS } from "./rows.js";
import { EventStream, EventStreamParser, fetchUntilAnswered, pieces } from "./sse.js";
import { bytes, compact, count, seconds } from "./units.js";

const about = await (await fetch("/about.json")).json();
const origin = (server) => `${location.protocol}//${location.hostname}:${server.port}`;
const still = matchMedia("(prefers-reduced-motion: reduce)");

function element(name, properties = {}, ...children) {
  const created = Object.assign(document.createElement(name), properties);
  created.append(...children);
  return created;
}

const template = (id) => document.getElementById(id).content.cloneNode(true);

/** The card's own fields by name: `field.cpu` is its element with data-field="cpu". */
function fields(card) {
  const found = {};
  for (const one of card.querySelectorAll("[data-field]")) found[one.dataset.field] = one;
  return found;
}

/** The N of a comment "dropped N", else 0. */
const droppedIn = (comment) => Number(/^dropped (\d+)$/.exec(comment)?.[1] ?? 0);

/** Seconds between two heartbeats of a stream. */
const HEARTBEAT = 30;

const CARDS = { figures, board, flood, export: exports, archive, metrics };

function figures(card, server) {
  const field = fields(card);
  const plot = new Plot(card.querySelector("canvas"));
  let last = 0, heartbeat = 0, opened = 0, dropped = 0, missed = 0, reconnects = 0;

  const stream = new EventStream({
    state(state) {
      if (state === card.dataset.state) return;
      if (state === "live") opened = Date.now(), (heartbeat = 0), beat();
      if (state === "reconnecting") plot.break();
      if (card.dataset.state === "reconnecting") field.reconnects.textContent = count(++reconnects);
      card.dataset.state = field.state.textContent = state;
    },
    comment(text) {
      if (text === "heartbeat") heartbeat = Date.now();
      dropped += droppedIn(text);
      missed -= droppedIn(text);
    },
    event({ data }) {
      const sample = JSON.parse(data);
      if (sample.id <= last) plot.clear(); // the server has been started anew
      else if (last > 0) missed += sample.id - last - 1;
      last = sample.id;
      plot.add(sample);
      if (still.matches) plot.draw();
      field.cpu.textContent = `${sample.cpu.toFixed(0)} %`;
      field.memory.textContent = `${sample.memory.toFixed(0)} %`;
      field.received.textContent = `${bytes(sample.received)}/s`;
      field.sent.textContent = `${bytes(sample.sent)}/s`;
      field.id.textContent = count(last);
      field.dropped.textContent = count(dropped);
      field.missed.textContent = count(missed);
    },
  });

  for (const choice of card.querySelectorAll("[type=radio]")) {
    choice.name = `source-${server.tenant}`;
    choice.checked = choice.value === server.source;
    choice.onchange = () => stream.open(`${origin(server)}/figures/${choice.value}`);
  }
  card.querySelector("[data-action=drop]").onclick = () =>
    fetch(`${origin(server)}/drop`, { method: "POST" });
  const beat = () => {
    const since = Math.round((Date.now() - (heartbeat || opened)) / 1000);
    field.heartbeat.textContent = heartbeat ? `${since} s ago` : `first in ${Math.max(0, HEARTBEAT - since)} s`;
  };
  setInterval(beat, 1000);
  const animate = () => {
    if (!still.matches) plot.draw();
    requestAnimationFrame(animate);
  };
  animate();
  stream.open(`${origin(server)}/figures/${server.source}`);
}

const COLOURS = ["none", "teal", "violet", "amber", "pink", "ink"];

function board(card, server) {
  const field = fields(card);
  const grid = card.querySelector(".board");
  const palette = card.querySelector(".palette");
  const kill = card.querySelector("[data-action=kill]");
  let last = 0, events = 0, missed = 0, doubled = 0, reconnects = 0, colour = 1;

  const stream = new EventStream({
    open: (response) => (field.process.textContent = response.headers.get("X-Process")),
    state(state) {
      if (state === card.dataset.state) return;
      if (card.dataset.state === "reconnecting") field.reconnects.textContent = count(++reconnects);
      card.dataset.state = field.state.textContent = state;
    },
    event({ data, type, id }) {
      const number = Number(id.split("-")[1]);
      if (type === "gap") missed += JSON.parse(data).missed ?? 0, load();
      else if (number <= last) doubled++;
      else missed += number - last - 1;
      last = number;
      if (type === "painted") show(JSON.parse(data));
      field.events.textContent = count(++events);
      field.missed.textContent = count(missed);
      field.doubled.textContent = count(doubled);
    },
  });

  function show(painted) {
    const cell = grid.children[painted.cell];
    cell.dataset.colour = painted.colour;
    cell.ariaLabel = `Cell ${painted.cell + 1}, ${COLOURS[painted.colour]}`;
  }

  async function load() {
    const state = await (await fetchUntilAnswered(`${origin(server)}/board.json`)).json();
    grid.style.setProperty("--columns", state.width);
    while (grid.children.length < state.cells.length) {
      const cell = grid.children.length;
      grid.append(element("button", { type: "button", onclick: () => paint(cell) }));
    }
    state.cells.forEach((colour, cell) => show({ cell, colour }));
    return state.position;
  }

  const paint = (cell) =>
    fetchUntilAnswered(`${origin(server)}/board?cell=${cell}&colour=${colour}`, { method: "POST" });

  for (const [number, name] of COLOURS.entries()) {
    const choice = element("input", {
      type: "radio",
      name: `colour-${server.tenant}`,
      checked: number === colour,
      onchange: () => (colour = number),
    });
    const swatch = element("label", { title: name }, choice, element("span", { textContent: name }));
    swatch.dataset.colour = number;
    palette.append(swatch);
  }
  card.querySelector("[data-action=drop]").onclick = () => stream.drop();
  kill.hidden = about.workers === 1;
  // The process that takes the request may be the one that it is about, and then nobody answers.
  kill.onclick = () =>
    fetch(`${origin(server)}/kill?process=${field.process.textContent}`, { method: "POST" }).catch(() => {});
  load().then((position) => {
    last = Number(position.split("-")[1]);
    stream.open(`${origin(server)}/board`, position);
  });
}

function flood(card, server) {
  const field = fields(card);
  const button = card.querySelector("button");
  const track = card.querySelector("canvas");
  const pen = track.getContext("2d");
  let received, dropped, readOn, ready;

  /** Mark the next `number` of all events on the track. */
  function mark(number, colour) {
    const x = (events) => Math.round((events / about.rows) * track.width);
    const before = received + dropped;
    pen.fillStyle = getComputedStyle(track).getPropertyValue(colour);
    pen.fillRect(x(before), 0, x(before + number) - x(before), track.height);
  }

  function show() {
    field.received.textContent = count(received);
    field.dropped.textContent = count(dropped);
    field.together.textContent = `${count(received + dropped)} of ${count(about.rows)}`;
  }

  function pause() {
    ready = new Promise((resolve) => (readOn = resolve));
    button.textContent = "Read on";
    button.onclick = resume;
    field.verdict.textContent = "Not reading. The server goes on.";
  }

  function resume() {
    readOn?.();
    button.textContent = "Pause reading";
    button.onclick = pause;
    field.verdict.textContent = "Reading …";
  }

  async function read() {
    const response = await fetch(`${origin(server)}/flood`);
    let fresh = 0;
    const arrived = () => {
      mark(fresh, "--accent");
      received += fresh;
      fresh = 0;
    };
    const parser = new EventStreamParser({
      event: () => fresh++,
      comment(text) {
        arrived();
        mark(droppedIn(text), "--dropped");
        dropped += droppedIn(text);
      },
    });
    for await (const piece of pieces(response, () => ready)) {
      parser.feed(piece);
      arrived();
    }
    return received + dropped === about.rows;
  }

  async function start() {
    received = dropped = 0;
    card.dataset.state = "live";
    pen.clearRect(0, 0, track.width, track.height);
    resume();
    const showing = setInterval(show, 100);
    const whole = await read().catch(() => false);
    clearInterval(showing);
    show();
    card.dataset.state = whole ? "done" : "failed";
    field.verdict.textContent = !whole
      ? "The stream broke off."
      : `Every event is accounted for: ${dropped ? "received or dropped" : "all received"}.`;
    button.textContent = "Start";
    button.onclick = start;
  }

  button.onclick = start;
}

function exports(card, server) {
  for (const format of Object.keys(COUNTERS)) {
    transfer(card, {
      label: format.toUpperCase(),
      holds: `${count(about.rows)} rows`,
      format,
      url: `${origin(server)}/lines.${format}`,
      begin() {
        const rowsIn = COUNTERS[format]();
        let rows = 0;
        return {
          add: (chunk) => (rows += rowsIn(chunk)),
          share: () => rows / about.rows,
          amount: (elapsed) => ` · ${count(rows)} rows · ${compact(rows / elapsed)} rows/s`,
        };
      },
      judge: (_, progress) => [progress.share() === 1, "complete", "incomplete"],
    });
  }
}

function archive(card, server) {
  transfer(card, {
    label: "library.tar",
    holds: `${count(about.files)} files`,
    format: "tar",
    url: `${origin(server)}/library.tar`,
    begin(size) {
      let received = 0;
      return {
        add: (chunk) => (received += chunk.length),
        share: () => received / size,
        amount: (elapsed) => ` of ${bytes(size)} · ${bytes(received / elapsed)}/s`,
      };
    },
    async judge(blob) {
      const told = (await (await fetch(`${origin(server)}/library.tar.sha256`)).text()).split(" ")[0];
      const digest = await crypto.subtle.digest("SHA-256", await blob.arrayBuffer());
      const hex = Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
      return [hex === told, `SHA-256 matches: ${hex}`, `SHA-256 differs: ${hex}, not ${told}`];
    },
  });
}

/** One line of a card: a button that fetches `url`, and what has become of that. */
function transfer(card, { label, holds, format, url, begin, judge }) {
  const item = element("li", {}, template("transfer"));
  item.dataset.format = format;
  card.querySelector(".transfers").append(item);
  const field = fields(item);
  const button = item.querySelector("button");
  const bar = item.querySelector("progress");
  const save = item.querySelector(".save");
  button.textContent = label;
  field.amount.textContent = holds;
  bar.ariaLabel = `Progress of ${label}`;

  async function fetchAll() {
    const started = performance.now();
    const response = await fetch(url, { cache: "no-store" });
    if (!response.ok) throw new Error(response.statusText);
    const progress = begin(Number(response.headers.get("Content-Length")));
    const chunks = [];
    let received = 0;
    const show = () => {
      const elapsed = (performance.now() - started) / 1000;
      bar.value = progress.share();
      field.amount.textContent =
        `${bytes(received)}${progress.amount(elapsed)} · ${seconds(elapsed)}`;
    };
    const showing = setInterval(show, 100);
    try {
      const reader = response.body.getReader();
      for (let read; !(read = await reader.read()).done; ) {
        chunks.push(read.value);
        received += read.value.length;
        progress.add(read.value);
      }
    } finally {
      clearInterval(showing);
      show();
    }
    const blob = new Blob(chunks);
    save.href = URL.createObjectURL(blob);
    save.download = /filename="([^"]+)"/.exec(response.headers.get("Content-Disposition"))[1];
    return judge(blob, progress);
  }

  button.onclick = async () => {
    button.disabled = true;
    save.hidden = true;
    URL.revokeObjectURL(save.href);
    item.dataset.state = "live";
    field.verdict.textContent = "";
    try {
      const [good, yes, no] = await fetchAll();
      item.dataset.state = good ? "done" : "failed";
      field.verdict.textContent = good ? yes : no;
      save.hidden = false;
    } catch {
      item.dataset.state = "failed";
      field.verdict.textContent = "broken off";
    }
    button.disabled = false;
  };
}

const METRICS = {
  "Active": ["stream_active", count],
  "Elements": ["stream_elements_total", compact],
  "Dropped": ["stream_dropped_total", compact],
  "Sent": ["stream_bytes_total", bytes],
  "Completed": ["stream_closed_total", count, "completed"],
  "Disconnected": ["stream_closed_total", count, "disconnected"],
  "Failed": ["stream_closed_total", count, "failed"],
};
const STREAMS = ["figures", "board", "flood", "lines", "library"];

function metrics(card, server) {
  const { link } = fields(card);
  link.href = `${origin(server)}/metrics`;
  link.textContent = link.href;
  const table = card.querySelector("table");
  table.append(element("thead", {}, row("", STREAMS)), element("tbody"));

  function row(title, cells, cell = "th") {
    const head = element(title ? "th" : "td", { scope: "row", textContent: title });
    return element("tr", {}, head, ...cells.map((text) => element(cell, { textContent: text })));
  }

  async function show() {
    const text = await (await fetch(link.href)).text();
    const values = samples(text).filter(({ labels }) => labels.tenant === server.tenant);
    table.tBodies[0].replaceChildren(
      ...Object.entries(METRICS).map(([title, [name, format, outcome]]) =>
        row(title, STREAMS.map((stream) => {
          const found = values.filter(
            (s) => s.name === name && s.labels.stream === stream && s.labels.outcome === outcome,
          );
          return format(found.reduce((sum, { value }) => sum + value, 0));
        }), "td"),
      ),
    );
  }

  const again = () => {
    if (!document.hidden) show().catch(() => {});
  };
  again();
  setInterval(again, 1000);
}

/** The samples of Prometheus' text format. */
function samples(text) {
  return [...text.matchAll(/^(\w+)\{(.*)\} (\S+)$/gm)].map(([, name, labels, value]) => ({
    name,
    value: Number(value),
    labels: Object.fromEntries(
      [...labels.matchAll(/(\w+)="([^"]*)"/g)].map(([, key, label]) => [key, label]),
    ),
  }));
}

for (const [term, text] of [
  ["Python", about.python],
  ["Cores", about.cores],
  ["Memory", bytes(about.memory, 0)],
  ["Processes", about.workers],
  ["Library", `${count(about.rows)} lines`],
]) {
  document.getElementById("machine").append(
    element("div", {}, element("dt", { textContent: term }), element("dd", { textContent: text })),
  );
}

document.getElementById("processes").textContent =
  about.workers === 1
    ? "This is one process: the demo's README says how to start several."
    : `${about.workers} processes serve both sides, and hear of each other by way of Redis. ` +
      "Kill the one that a side hangs on, paint on, and see how another one takes over.";

for (const server of about.servers) {
  const address = element("a", { href: origin(server), textContent: `${location.hostname}:${server.port}` });
  const title = element("div", {}, element("strong", { textContent: server.name }), ` ${server.runs} · `, address);
  title.dataset.server = server.tenant;
  document.getElementById("servers").append(title);
}

for (const code of document.querySelectorAll("section > pre")) {
  const button = element("button", { type: "button", className: "copy", textContent: "Copy" });
  button.onclick = async () => {
    await navigator.clipboard.writeText(code.querySelector("code").textContent);
    button.textContent = "Copied";
    setTimeout(() => (button.textContent = "Copy"), 2000);
  };
  code.append(button);
}

for (const section of document.querySelectorAll("[data-card]")) {
  const pair = element("div", { className: "pair" });
  for (const server of about.servers) {
    const name = section.dataset.card;
    const card = element("article", { className: "card" }, template(name));
    card.dataset.server = server.tenant;
    card.ariaLabel = server.name;
    card.prepend(element("h3", { textContent: server.name }));
    pair.append(card);
    CARDS[name](card, server);
  }
  section.append(pair);
}
