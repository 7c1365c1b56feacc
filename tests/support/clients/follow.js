// Follows a stream with fetch-event-source, as a page does that leaves all but `onmessage` as it is:
// `node follow.js <url> [throw]`. With `throw`, its `onclose` throws, as a page does that wants to come
// back after an end. Prints a line of JSON for each thing that happens, until there is nothing more to
// happen, its input ends, or it has waited for too long.
const { fetchEventSource } = require("@microsoft/fetch-event-source");

// Of a browser it looks for these.
globalThis.window = globalThis;
globalThis.document = { removeEventListener() {} };

const [url, how] = process.argv.slice(2);
const say = (what) => console.log(JSON.stringify(what));

fetchEventSource(url, {
  openWhenHidden: true,
  async fetch(...request) {
    const response = await fetch(...request);
    say({ status: response.status });
    return response;
  },
  onmessage: ({ data }) => say({ data }),
  onclose() {
    say({ closed: true });
    if (how === "throw") throw new Error("to come back");
  },
}).then(() => {
  say({ over: true });
  process.exit();
});

process.stdin.resume().on("end", () => process.exit());
setTimeout(() => process.exit(1), 20_000);
