// Keeps the log of one gateway up to date.

import { address, listen } from "./live.js";

const MAX_LINES = 2000;
const EMPTY = "\u00a0";
const section = document.getElementById("log");
const lines = document.getElementById("lines");
const empty = document.getElementById("log-empty");
const follow = document.getElementById("follow");
const chooser = document.getElementById("gateway");

function addLines(texts) {
  const atEnd = follow.checked;
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

follow.parentElement.hidden = false;
follow.addEventListener("change", () => { if (follow.checked) toEnd(); });
// Scrolling up is how people say that they want to read; scrolling back down, that they are done.
lines.addEventListener("scroll", () => {
  follow.checked = lines.scrollHeight - lines.scrollTop - lines.clientHeight < 30;
});
chooser.addEventListener("change", () => {
  location.assign(`${address("/")}?gateway=${encodeURIComponent(chooser.value)}#log`);
});
toEnd();

listen(section.dataset.events, {
  lines: (data) => addLines(data.lines),
  gap: () => lines.replaceChildren(),
});
