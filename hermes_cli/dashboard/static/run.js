// A run as it goes on: its text, or its events as they are.

import { Pane } from "./output.js";
import { follow, redraw } from "./page.js";

const output = document.getElementById("output");
const rows = document.getElementById("rows");
const pane = output && new Pane(output);

function add([kind, ...what]) {
  if (kind === "text") pane?.text(what[0]);
  else if (kind === "note") pane?.note(what[1], what[0]);
  else rows?.append(row(...what));
}

function row(seq, at, type, payload) {
  const made = document.createElement("tr");
  const time = document.createElement("time");
  const moment = new Date(at * 1000).toISOString();
  time.dateTime = `${moment.slice(0, 19)}Z`;
  time.textContent = moment.slice(0, 19).replace("T", " ");
  const code = document.createElement("code");
  code.textContent = payload;
  const cells = [String(seq), time, type, payload ? code : ""].map((content, index) => {
    const cell = document.createElement(index ? "td" : "th");
    if (!index) cell.scope = "row";
    cell.append(content);
    return cell;
  });
  cells[3].className = "wide";
  made.append(...cells);
  return made;
}

follow({
  pieces: ({ pieces, changed }) => {
    pieces.forEach(add);
    if (changed) redraw();
  },
  snapshot: ({ text }) => {
    pane?.clear();
    pane?.text(text);
  },
});
