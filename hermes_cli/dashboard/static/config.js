// The editor: a link leads to the line that is wrong, and what is not saved is not left by accident.

import "./page.js";

const text = document.getElementById("text");
const editor = document.getElementById("editor");

if (editor) {
  const before = text.value;
  let leaving = false;

  editor.addEventListener("submit", () => { leaving = true; });
  addEventListener("pageshow", () => { leaving = false; });
  addEventListener("beforeunload", (event) => {
    if (!leaving && text.value !== before) event.preventDefault();
  });

  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-line]");
    if (!link) return;
    event.preventDefault();
    const lines = text.value.split("\n");
    const number = Math.min(Number(link.dataset.line), lines.length) - 1;
    const begin = lines.slice(0, number).reduce((sum, line) => sum + line.length + 1, 0);
    text.focus();
    text.setSelectionRange(begin, begin + lines[number].length);
  });
}
