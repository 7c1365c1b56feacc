// Answers each line, a JSON string with the path of a csv file, with the file's rows as JSON.
const fs = require("fs");
const Papa = require("papaparse");

require("readline")
  .createInterface({ input: process.stdin })
  .on("line", (line) => {
    const text = fs.readFileSync(JSON.parse(line), "utf8");
    const { data, errors } = Papa.parse(text, { delimiter: ",", newline: "\r\n" });
    data.pop(); // What is after the last line end.
    process.stdout.write(JSON.stringify({ rows: data, errors }) + "\n");
  });
