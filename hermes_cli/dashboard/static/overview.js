// Keeps the overview up to date. Text is only ever set as text.

import { address, listen } from "./live.js";

const summary = document.getElementById("summary");
const problems = document.getElementById("problems");
const chooser = document.getElementById("gateway");
let ahead = 0; // seconds by which the server's clock is ahead of ours

const bodies = {
  gateways: document.getElementById("gateways"),
  services: document.getElementById("services"),
};

function row(service) {
  return document.querySelector(`tr[data-service="${CSS.escape(service)}"]`);
}

function newRow(service, profile) {
  const kind = profile === null ? "services" : "gateways";
  const made = document.getElementById(`${kind}-row`).content.firstElementChild.cloneNode(true);
  made.dataset.service = service;
  const link = made.querySelector("a");
  if (link) link.href = `${address("/")}?gateway=${encodeURIComponent(profile)}#log`;
  bodies[kind].append(made);
  return made;
}

function fill(element, fields) {
  for (const [name, value] of Object.entries(fields)) {
    if (name === "tone") {
      element.dataset.tone = value;
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

function apply(change) {
  if (change.now !== undefined) ahead = change.now - Date.now() / 1000;
  if (change.tone !== undefined) summary.dataset.tone = change.tone;
  for (const name of ["mark", "summary"]) {
    if (change[name] !== undefined) summary.querySelector(`[data-f="${name}"]`).textContent = change[name];
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
    fill(row(service) || newRow(service, fields.profile ?? null), fields);
  }
  if (change.order !== undefined) arrange(change.order);
}

function arrange(order) {
  for (const old of document.querySelectorAll("tbody tr")) {
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
  offer([...bodies.gateways.children].map((element) => element.querySelector('[data-f="name"]').textContent));
}

function offer(names) {
  if (names.join() === [...chooser.options].map((option) => option.value).join()) return;
  const chosen = chooser.value;
  chooser.replaceChildren(...names.map((name) => new Option(name, name, false, name === chosen)));
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

setInterval(() => document.querySelectorAll("tbody tr").forEach(tick), 1000);

listen(address("/events/status"), { board: apply, change: apply });
