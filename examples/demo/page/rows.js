/* Counting the rows of an export as its bytes arrive: one function a format, cut anywhere. */

const NEWLINE = 10, QUOTE = 34, BACKSLASH = 92, BRACE = 123;

function lines(bytes) {
  let found = 0;
  for (let at = 0; at < bytes.length; at++) if (bytes[at] === NEWLINE) found++;
  return found;
}

export const COUNTERS = {
  /** An array of flat objects: each opening brace outside of a string is a row. */
  json() {
    let inString = false, escaped = false;
    return (bytes) => {
      let found = 0;
      for (let at = 0; at < bytes.length; at++) {
        const byte = bytes[at];
        if (!inString) {
          if (byte === QUOTE) inString = true;
          else if (byte === BRACE) found++;
        } else if (escaped) escaped = false;
        else if (byte === BACKSLASH) escaped = true;
        else if (byte === QUOTE) inString = false;
      }
      return found;
    };
  },

  /** No field of these rows has a newline in it, so a line is a row, but for the header. */
  csv() {
    let header = 1;
    return (bytes) => {
      const found = lines(bytes);
      const rows = Math.max(0, found - header);
      header = Math.max(0, header - found);
      return rows;
    };
  },

  ndjson: () => lines,
};
