// Reads a stream to its end: `node read.js <reader> <url> [<Accept>]`. Prints, as JSON, the events
// as [data, type, id], and what went wrong, which a page would answer by connecting anew.
const { fetchEventSource } = require("@microsoft/fetch-event-source");
const { createParser } = require("eventsource-parser");

// Of a browser it looks for these.
globalThis.window = globalThis;
globalThis.document = { removeEventListener() {} };

const events = [];
const errors = [];

function take({ data, event, id }) {
  JSON.parse(data);
  events.push([data, event || "message", id]);
}

const readers = {
  "fetch-event-source": (url) =>
    fetchEventSource(url, {
      openWhenHidden: true,
      onmessage: take,
      onerror(error) {
        throw error;
      },
    }),
  "eventsource-parser": async (url, headers) => {
    const parser = createParser({
      onEvent: take,
      onError(error) {
        throw error;
      },
    });
    const { body } = await fetch(url, { headers });
    for await (const text of body.pipeThrough(new TextDecoderStream())) parser.feed(text);
  },
};

const [reader, url, accept] = process.argv.slice(2);
readers[reader](url, accept ? { accept } : {})
  .catch((error) => errors.push(String(error)))
  .finally(() => console.log(JSON.stringify({ events, errors })));
