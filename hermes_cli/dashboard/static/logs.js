// A log as it grows; of what was found in it, the place that is looked for.

import { follow } from "./page.js";

const MAX_LINES = 5000;
const NEAR = 30;
const EMPTY = "\u00a0";

const lines = document.getElementById("lines");
const empty = document.getElementById("log-empty");
const following = document.getElementById("follow");

function add(texts) {
  const atEnd = following.checked;
  lines.append(...texts.map((text) => {
    const line = document.createElement("div");
    line.className = "line";
    line.textContent = text || EMPTY;
    return line;
  }));
  while (lines.children.length > MAX_LINES) lines.firstElementChild.remove();
  lines.hidden = lines.children.length === 0;
  empty.hidden = !lines.hidden;
  if (atEnd) toEnd();
}

function toEnd() {
  lines.scrollTop = lines.scrollHeight;
}

if (following) {
  following.parentElement.hidden = false;
  following.addEventListener("change", () => { if (following.checked) toEnd(); });
  // Scrolling up is how people say that they want to read; scrolling back down, that they are done.
  lines.addEventListener("scroll", () => {
    following.checked = lines.scrollHeight - lines.scrollTop - lines.clientHeight < NEAR;
  });
  toEnd();
  follow({
    lines: (data) => add(data.lines),
    gap: () => lines.replaceChildren(),
  });
} else {
  document.getElementById("there")?.scrollIntoView({ block: "center" });
}
