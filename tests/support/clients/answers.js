// How other people's clients see an answer: `node answers.js <client> <url> [<argument> …]`. Prints a line of
// JSON for each thing that happens, until nothing more will.
const { fetchEventSource } = require("@microsoft/fetch-event-source");
const { createParser } = require("eventsource-parser");
const { DefaultChatTransport, readUIMessageStream } = require("ai");

// Of a browser fetch-event-source looks for these.
globalThis.window = globalThis;
globalThis.document = { removeEventListener() {} };

const say = (what) => console.log(JSON.stringify(what));

/** The text of the message that a chat has got, whole, or what went wrong with it. */
async function show(stream) {
  if (stream === null) return say({ nothing: true });
  let message;
  try {
    for await (message of readUIMessageStream({ stream, terminateOnError: true })) {
      say({ text: message.parts.map(({ text }) => text).join("") });
    }
    say({ over: true });
  } catch (error) {
    say({ error: error.name, message: error.message });
  }
}

const clients = {
  EventSource(url) {
    const source = new EventSource(url);
    source.onmessage = ({ data }) => say({ data });
    source.addEventListener("error", ({ data }) => {
      say({ error: data ?? null, closed: source.readyState === EventSource.CLOSED });
    });
  },

  "fetch-event-source": (url) =>
    fetchEventSource(url, {
      openWhenHidden: true,
      onmessage: ({ event, data }) => say({ event: event || "message", data }),
      onclose: () => say({ closed: true }),
      onerror(error) {
        say({ error: error.message.includes("content-type") ? error.message : error.name });
        // It would come back otherwise, for ever.
        if (error.message.includes("content-type")) throw error;
      },
    }).catch(() => {}),

  async "eventsource-parser"(url) {
    const parser = createParser({ onEvent: ({ event, data }) => say({ event: event ?? "message", data }) });
    const { body } = await fetch(url);
    try {
      for await (const text of body.pipeThrough(new TextDecoderStream())) parser.feed(text);
      say({ over: true });
    } catch (error) {
      say({ error: error.name });
    }
  },

  async ask(url, chatId, question) {
    const messages = [{ id: "1", role: "user", parts: [{ type: "text", text: question }] }];
    const transport = new DefaultChatTransport({ api: url });
    await show(await transport.sendMessages({ chatId, messages, trigger: "submit-message" }));
  },

  async resume(url, chatId) {
    await show(await new DefaultChatTransport({ api: url }).reconnectToStream({ chatId }));
  },
};

const [client, ...rest] = process.argv.slice(2);
clients[client](...rest);
