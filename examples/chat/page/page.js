/*
 * A chat is what stands behind the # of the address. All of its pages ask for the same addresses, and
 * the server sees to it that each answer is made once. That an EventSource comes back by itself, with
 * the id of what it saw last, is all there is to surviving.
 */

const ENDINGS = {
  stopped: "Stopped.",
  failed: "The model failed here.",
  interrupted: "The server went away in the middle.",
  lost: "The rest of this answer is not kept any more.",
};

const $ = (selector, within = document) => within.querySelector(selector);
const list = $(".messages");
const form = $("form");
const field = $("#question");
const messages = new Map();

const chat = location.hash.slice(1) || newName();
history.replaceState(null, "", "#" + chat);
$("[data-action=again]").href = location.href;
addEventListener("hashchange", () => location.reload());

/** One question and its answer. */
class Message {
  #text = "";
  #source;
  #frame = 0;

  constructor({ key, question, answer = "", ending = null }) {
    this.key = key;
    this.item = $("#message").content.cloneNode(true).firstElementChild;
    this.item.dataset.key = key;
    $(".question", this.item).textContent = question;
    $("button", this.item).onclick = () => ask(question);
    list.append(this.item);
    this.#text = answer;
    this.#show();
    this.end(ending);
    if (!ending) this.#follow();
  }

  get isOpen() {
    return !this.ending;
  }

  end(ending) {
    if (this.ending) return;
    this.ending = ending;
    if (ending) delete this.item.dataset.away;
    keepingTheEndInSight(() => {
      this.item.dataset.ending = ending ?? "open";
      $(".ending span", this.item).textContent = ENDINGS[ending] ?? "";
      $(".ending button", this.item).hidden = !ending || ending === "done";
      showState();
    });
  }

  #follow() {
    const source = (this.#source = new EventSource("answers/" + this.key));
    source.onmessage = ({ data }) => {
      this.#text += JSON.parse(data).text;
      this.#frame ||= requestAnimationFrame(() => this.#show());
    };
    source.onopen = () => delete this.item.dataset.away;
    source.addEventListener("done", () => this.#close("done"));
    source.addEventListener("error", ({ data }) => {
      // What the server tells of has data. Anything else is the connection, which comes back by
      // itself, unless the server has said that there is nothing more.
      if (data) this.#close(JSON.parse(data).error);
      else if (source.readyState === EventSource.CLOSED) this.#askHowItEnded();
      else this.item.dataset.away = "";
    });
  }

  #close(ending) {
    this.#source.close();
    this.#show();
    this.end(ending);
  }

  async #askHowItEnded() {
    const known = await getState().catch(() => ({ messages: [] }));
    const message = known.messages.find(({ key }) => key === this.key);
    if (message?.ending) this.#text = message.answer;
    this.#close(message?.ending ?? "lost");
  }

  #show() {
    this.#frame = 0;
    const text = $(".text", this.item);
    const paragraphs = this.#text.split("\n\n");
    keepingTheEndInSight(() => {
      while (text.children.length < paragraphs.length) text.append(document.createElement("p"));
      paragraphs.forEach((words, number) => {
        // Only the last one grows.
        if (text.children[number].textContent !== words) text.children[number].textContent = words;
      });
    });
  }
}

/** Change the page, and scroll to its end if that was in sight: whoever reads further up stays there. */
function keepingTheEndInSight(change) {
  const isAtEnd = innerHeight + scrollY >= document.body.scrollHeight - 80;
  change();
  if (isAtEnd) scrollTo(0, document.body.scrollHeight);
}

function newName() {
  return Array.from(crypto.getRandomValues(new Uint8Array(8)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function call(path, options) {
  const response = await fetch(path, options);
  if (!response.ok) throw new Error(`The server answered with ${response.status}.`);
  return response.json();
}

const getState = () => call("chats/" + chat, { cache: "no-store" });

function add(message) {
  // Of what this page has asked it hears twice: in the answer to its request, and on the channel.
  if (!messages.has(message.key)) messages.set(message.key, new Message(message));
  showState();
}

function open() {
  return [...messages.values()].filter((message) => message.isOpen);
}

function showState() {
  const isBusy = open().length > 0;
  document.body.dataset.state = isBusy ? "busy" : "idle";
  $(".welcome").hidden = messages.size > 0;
  $("[type=submit]", form).hidden = isBusy;
  $("[data-action=stop]", form).hidden = !isBusy;
}

/** Whether it worked; the page says so if it did not. */
async function trying(does) {
  try {
    await does();
    $("[data-field=trouble]").textContent = "";
    return true;
  } catch (error) {
    $("[data-field=trouble]").textContent = error instanceof TypeError ? "The server does not answer." : error.message;
    return false;
  }
}

const ask = (question) =>
  trying(async () => {
    const { key } = await call("chats/" + chat, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ question }),
    });
    add({ key, question });
    scrollTo(0, document.body.scrollHeight);
  });

form.onsubmit = async (event) => {
  event.preventDefault();
  const question = field.value.trim();
  if (!question || open().length) return;
  write("");
  // What nobody took is not to be written again.
  if (!(await ask(question)) && !field.value) write(question);
};

function write(text) {
  field.value = text;
  resize();
}

field.onkeydown = (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  form.requestSubmit();
};

function resize() {
  field.style.height = "auto";
  field.style.height = field.scrollHeight + "px";
}
field.oninput = resize;

$("[data-action=stop]").onclick = () =>
  trying(() => Promise.all(open().map(({ key }) => call(`answers/${key}/stop`, { method: "POST" }))));

$("[data-action=new]").onclick = (event) => {
  event.preventDefault();
  location.hash = newName();
};

for (const button of document.querySelectorAll(".suggestions button")) {
  button.onclick = () => {
    if (!open().length) ask(button.textContent);
  };
}

await trying(async () => {
  const state = await getState();
  $("[data-field=about]").textContent = state.about;
  state.messages.forEach(add);
  showState();
  scrollTo(0, document.body.scrollHeight);
  // From where the state was: what was asked since then comes first.
  const told = new EventSource(`chats/${chat}/events?lastEventId=${state.position}`);
  told.addEventListener("asked", ({ data }) => add(JSON.parse(data)));
  told.addEventListener("ended", ({ data }) => {
    const { key, ending } = JSON.parse(data);
    // The others come with the answer itself, behind its last word.
    if (ending === "stopped") messages.get(key)?.end(ending);
  });
  // Some of what it missed is not kept: look again.
  told.addEventListener("gap", async () => (await getState()).messages.forEach(add));
});
