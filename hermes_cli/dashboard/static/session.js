// A conversation as it goes on: turns from the server, the answer that comes as it comes.

import { Pane } from "./output.js";
import { follow, redraw } from "./page.js";

const element = document.getElementById("output");
const pane = new Pane(element);

follow({
  answer: async ({ run_id: run }) => {
    if (!run) await redraw(); // the answer stands among the turns before it goes from here
    element.hidden = !run;
    pane.clear();
    pane.toEnd();
  },
  pieces: ({ pieces, changed }) => {
    for (const [kind, ...what] of pieces) {
      if (kind === "text") pane.text(what[0]);
      else pane.note(what[1], what[0]);
    }
    element.hidden = false;
    if (changed) redraw();
  },
  snapshot: ({ text }) => {
    pane.clear();
    pane.text(text);
  },
});

document.getElementById("message")?.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) event.target.form.requestSubmit();
});
