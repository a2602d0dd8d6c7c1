// What the pages of a profile have in common: one stream, parts that are taken anew from the server,
// a notice while the gateway cannot be reached, and forms that are sent without leaving the page.
//
//   follow({name: (data, id) => …})   follow the page's stream
//   redraw()                          take the parts of the page anew

import { listen, send } from "./live.js";

const page = document.getElementById("page");
const notice = document.getElementById("reach");
const said = document.getElementById("said");

const REVIVE_MS = 2000;

const failed = page.dataset.failed !== undefined;
let stream;
let away = false;

export function follow(handlers) {
  if (!page.dataset.events) return;
  stream = listen(page.dataset.events, {
    ...handlers,
    reach: show,
    changed: () => redraw(),
    end: () => {
      stream.close();
      handlers.end?.();
      redraw();
    },
  });
}

// How it stands with the gateway. A page that was made without it is made again once it is there.
function show(reach) {
  const well = reach.state === "ok";
  notice.hidden = well;
  notice.dataset.reach = reach.state;
  notice.querySelector('[data-f="sentence"]').textContent = reach.sentence;
  notice.querySelector('[data-f="next_step"]').textContent = reach.next_step;
  const start = document.getElementById("start");
  if (start) start.hidden = reach.code !== "stopped" && reach.code !== "parked";
  if (!well && !reach.comes_back) stream.close();
  if (well && failed) {
    revive();
    return;
  }
  if (!well) away = true;
  if (well && away) {
    away = false;
    redraw();
  }
}

// The whole page anew, once the server can make it: its stream may be well before that.
async function revive() {
  const fresh = await fetched();
  if (fresh && fresh.getElementById("page")?.dataset.failed === undefined) location.reload();
  else setTimeout(revive, REVIVE_MS);
}

// A key makes of a message that is sent twice one message: it is another only once a message has arrived.
let spent = false;

let drawing;
let again = false;

// The server's own rendering is the only one: its parts take the place of ours. A second call while one is
// under way draws once more behind it.
export async function redraw() {
  if (drawing) {
    again = true;
    return drawing;
  }
  drawing = draw().finally(() => {
    drawing = undefined;
    if (again) {
      again = false;
      redraw();
    }
  });
  return drawing;
}

// This page as the server makes it now; nothing where it cannot.
async function fetched() {
  const answer = await fetch(location.href, { headers: { accept: "text/html" } }).catch(() => undefined);
  if (!answer) return undefined;
  if (answer.redirected || answer.status === 404) location.reload();
  if (!answer.ok) return undefined;
  return new DOMParser().parseFromString(await answer.text(), "text/html");
}

async function draw() {
  const fresh = await fetched();
  if (!fresh || fresh.getElementById("page")?.dataset.failed !== undefined) return;
  for (const old of document.querySelectorAll("[data-part]")) {
    if (old.dataset.part === "key" && !spent) continue;
    const made = fresh.querySelector(`[data-part="${CSS.escape(old.dataset.part)}"]`);
    if (made && !old.isEqualNode(made) && !busy(old)) replace(old, made);
  }
  spent = false;
}

// Somebody is about to answer there: a dialogue that is open, a field with something in it.
function busy(part) {
  if (part.querySelector("details.confirm[open]")) return true;
  const field = part.contains(document.activeElement) ? document.activeElement : null;
  return field !== null && field.matches("textarea, input") && field.value !== field.defaultValue;
}

function replace(old, made) {
  const focus = old.contains(document.activeElement) ? place(document.activeElement, old) : null;
  old.replaceChildren(...document.adoptNode(made).childNodes);
  if (focus) find(old, focus)?.focus();
}

const FOCUSABLE = "a, button, summary, input, select, textarea, [tabindex]";

function place(element, part) {
  return { text: element.textContent, index: [...part.querySelectorAll(FOCUSABLE)].indexOf(element) };
}

function find(part, { text, index }) {
  const all = [...part.querySelectorAll(FOCUSABLE)];
  return all.find((element) => element.textContent === text) ?? all[index];
}

// ---- forms

export function say(text, tone) {
  said.hidden = !text;
  said.dataset.tone = tone;
  if (said.textContent !== text) said.textContent = text;
  clearTimeout(say.timer);
  if (text && tone === "good") say.timer = setTimeout(() => { said.hidden = true; }, 8000);
}

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (form.dataset.send === undefined) return;
  event.preventDefault();
  // Once: a second press while the first is under way would be a second order.
  if (form.dataset.sending !== undefined) return;
  form.dataset.sending = "";
  const buttons = [...form.querySelectorAll("button")];
  try {
    const sending = send(form, event.submitter);
    for (const one of buttons) one.disabled = true;
    const answer = await sending;
    say(answer.text, "good");
    const target = new URL(answer.location, location.href);
    if (target.pathname !== location.pathname && form.dataset.stay === undefined) {
      location.assign(target);
      return;
    }
    spent = true;
    form.reset();
    form.closest("details")?.removeAttribute("open");
    form.dispatchEvent(new CustomEvent("sent", { bubbles: true }));
    await redraw();
  } catch (error) {
    say(error.message, "bad");
  } finally {
    delete form.dataset.sending;
    for (const one of buttons) one.disabled = false;
  }
});

addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sending]")) delete form.dataset.sending;
});
