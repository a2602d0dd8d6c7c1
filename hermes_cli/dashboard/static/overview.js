// Keeps the overview up to date, and starts and stops from it. Text is only ever set as text.

import { address, listen, send } from "./live.js";

const summary = document.getElementById("summary");
const problems = document.getElementById("problems");
const said = document.getElementById("said");
let ahead = 0; // seconds by which the server's clock is ahead of ours

const bodies = {
  gateways: document.getElementById("gateways"),
  services: document.getElementById("services"),
};

// ---- the tables

function row(service) {
  return document.querySelector(`tr[data-service="${CSS.escape(service)}"]`);
}

function newRow(service, profile, name) {
  const kind = profile === null ? "services" : "gateways";
  const made = document.getElementById(`${kind}-row`).content.firstElementChild.cloneNode(true);
  made.dataset.service = service;
  if (profile !== null) {
    const base = `${address("/profiles/")}${encodeURIComponent(profile)}`;
    made.querySelector("th a").href = `${base}/logs`;
    for (const button of made.querySelectorAll("button[data-verb]")) {
      const verb = button.dataset.verb === "unpark" ? "start" : button.dataset.verb;
      button.setAttribute("formaction", `${base}/${verb}`);
      button.ariaLabel = `${button.textContent} ${name}`;
    }
    const remove = made.querySelector("a[data-delete]");
    if (remove) {
      remove.href = `${base}/delete`;
      remove.ariaLabel = `Delete ${name}…`;
      remove.hidden = profile === "default";
    }
  }
  bodies[kind].append(made);
  return made;
}

function fill(element, fields) {
  for (const [name, value] of Object.entries(fields)) {
    if (name === "tone") {
      element.dataset.tone = value;
    } else if (name === "verbs") {
      offer(element, value);
    } else if (name === "since") {
      if (value === null) delete element.dataset.since;
      else element.dataset.since = value;
      tick(element);
    } else {
      const place = element.querySelector(`[data-f="${CSS.escape(name)}"]`);
      if (place && place.textContent !== value) place.textContent = value;
    }
  }
}

function offer(element, verbs) {
  const focused = document.activeElement;
  for (const button of element.querySelectorAll("button[data-verb]")) {
    button.hidden = !verbs.includes(button.dataset.verb);
  }
  // A button that vanishes under the keyboard must not take it back to the top of the page.
  if (focused.hidden && element.contains(focused)) {
    element.querySelector("button[data-verb]:not([hidden])")?.focus();
  }
}

function apply(change) {
  if (change.now !== undefined) ahead = change.now - Date.now() / 1000;
  if (change.tone !== undefined) summary.dataset.tone = change.tone;
  for (const name of ["mark", "summary"]) {
    const place = summary.querySelector(`[data-f="${name}"]`);
    if (change[name] !== undefined && place.textContent !== change[name]) place.textContent = change[name];
  }
  if (change.problems !== undefined) {
    problems.replaceChildren(...change.problems.map((text) => {
      const item = document.createElement("li");
      item.textContent = text;
      return item;
    }));
    problems.hidden = change.problems.length === 0;
  }
  for (const [service, fields] of Object.entries(change.rows || {})) {
    fill(row(service) || newRow(service, fields.profile ?? null, fields.name), fields);
  }
  if (change.order !== undefined) arrange(change.order);
  const known = document.getElementById("timeline").dataset.story;
  if (change.story !== undefined && change.story !== known) drawSoon();
}

function arrange(order) {
  for (const old of document.querySelectorAll("tr[data-service]")) {
    if (!order.includes(old.dataset.service)) old.remove();
  }
  for (const body of Object.values(bodies)) {
    const inOrder = order.map(row).filter((element) => element && element.parentElement === body);
    inOrder.forEach((element, index) => {
      if (body.children[index] !== element) body.insertBefore(element, body.children[index] || null);
    });
  }
  document.getElementById("service-section").hidden = bodies.services.children.length === 0;
  document.getElementById("first-steps").hidden = bodies.gateways.children.length > 1;
}

function tick(element) {
  const place = element.querySelector('[data-f="uptime"]');
  if (!place) return;
  const since = element.dataset.since;
  const text = since === undefined ? "" : duration(Date.now() / 1000 + ahead - Number(since));
  if (place.textContent !== text) place.textContent = text;
}

function duration(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  for (const [unit, name, smaller, smallerName] of [
    [86400, "d", 3600, "h"],
    [3600, "h", 60, "m"],
    [60, "m", 1, "s"],
  ]) {
    if (whole >= unit) return `${Math.floor(whole / unit)}${name} ${Math.floor((whole % unit) / smaller)}${smallerName}`;
  }
  return `${whole}s`;
}

setInterval(() => document.querySelectorAll("tr[data-since]").forEach(tick), 1000);

// ---- what happened: drawn by the server, taken over whole

const DRAW_MS = 1000;
const MOVE_MS = 60000;
let drawing;

function drawSoon() {
  drawing ??= setTimeout(draw, DRAW_MS);
}

async function draw() {
  const asked = address("/timeline") + location.search;
  const answer = await fetch(asked, { headers: { accept: "text/html" } }).catch(() => undefined);
  drawing = undefined;
  if (!answer?.ok || answer.redirected) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const made = page.getElementById("timeline");
  const old = document.getElementById("timeline");
  // Not from under somebody who reads or walks through it.
  if (!made || old.contains(document.activeElement)) return;
  const open = document.getElementById("events")?.open;
  old.replaceWith(document.adoptNode(made));
  const events = document.getElementById("events");
  if (events && open) events.open = true;
}

setInterval(() => { if (!document.hidden) draw(); }, MOVE_MS);

// ---- start, stop, restart

const DOING = { start: "Starting", unpark: "Starting", stop: "Stopping", restart: "Restarting" };
const SAID_MS = 8000;
let forgetting;

function say(text, tone) {
  said.hidden = !text;
  said.dataset.tone = tone;
  said.textContent = text;
  clearTimeout(forgetting);
  // What went wrong stays until something else is said.
  if (tone === "good") forgetting = setTimeout(() => { said.hidden = true; }, SAID_MS);
}

document.addEventListener("submit", async (event) => {
  const button = event.submitter;
  const form = event.target;
  if (form.id !== "verbs" || !button) return;
  event.preventDefault();
  const element = button.closest("tr");
  // Once: a second press while the first is under way would be a second order.
  if (element.ariaBusy === "true") return;
  element.ariaBusy = "true";
  const words = button.textContent;
  const buttons = [...element.querySelectorAll("button[data-verb]")];
  for (const one of buttons) one.ariaDisabled = "true";
  button.textContent = `${DOING[button.dataset.verb]}…`;
  try {
    say(`✓ ${(await send(form, button)).text}`, "good");
  } catch (error) {
    say(`✕ ${error.message}`, "bad");
  } finally {
    element.ariaBusy = "false";
    for (const one of buttons) one.ariaDisabled = null;
    button.textContent = words;
  }
});

listen(address("/events/status"), { board: apply, change: apply });
