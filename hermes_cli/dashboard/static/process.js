// A process's output as it comes, and its stdin.

import { Pane } from "./output.js";
import { follow } from "./page.js";

const pane = new Pane(document.getElementById("output"));

follow({
  output: ({ text, dropped }) => {
    if (dropped) pane.note(`${dropped} bytes were dropped for the limit`);
    pane.text(text);
  },
});

// What was sent has gone: the next line begins where this one did.
document.addEventListener("sent", () => document.getElementById("text")?.focus());
