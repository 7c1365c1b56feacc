// A page with one of the README's scripts: node --experimental-eventsource ask.js ORIGIN FILE QUESTION
// Writes each text and each message as a line of JSON, and ends when nothing is open any more.
const [origin, file, question] = process.argv.slice(2);
const say = (what) => console.log(JSON.stringify(what));

const Native = globalThis.EventSource;
globalThis.EventSource = class extends Native {
  constructor(path) {
    super(new URL(path, origin));
  }
};

import(file).then(({ ask }) => {
  if (ask) ask(question, (text) => say({ text }), (message) => say({ message }));
});
