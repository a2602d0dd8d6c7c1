// Event streams that a page stays connected to, and the line in the header that says whether it is.
//
//   listen(url, {name: (data, id) => …})   follow a stream; returns {close()}
//   address(path)                          an address below the proxy's path
//   send(form, button)                     send a form without leaving the page
//
// A stream goes on behind the last event that was handled (its id is sent as ?cursor=), so that a
// restart of the dashboard leaves no gap and shows nothing twice.

const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 15000;

// Browsers open six connections to a server over HTTP/1.1 (Chromium, Firefox), all tabs together: one
// that nobody looks at must not hold one for long. It goes on from its cursor when it is looked at again.
const HIDDEN_MS = 20000;

const ENDED = ["signed out", "gone"];

const line = document.getElementById("live");
const streams = new Set();

export function address(path) {
  return document.documentElement.dataset.root + path;
}

export function listen(url, handlers) {
  const stream = new Stream(new URL(url, location.href), handlers);
  streams.add(stream);
  stream.connect();
  return { close: () => { stream.end("closed"); streams.delete(stream); say(); } };
}

class Stream {
  constructor(url, handlers) {
    this.url = url;
    this.handlers = handlers;
    this.state = "connecting";
    this.failures = 0;
  }

  connect() {
    this.disconnect();
    const source = this.source = new EventSource(this.url);
    source.onopen = () => { this.failures = 0; this.is("open"); };
    source.onerror = () => this.lost();
    for (const [name, handle] of Object.entries(this.handlers)) {
      source.addEventListener(name, (message) => {
        handle(JSON.parse(message.data), message.lastEventId);
        if (message.lastEventId) this.url.searchParams.set("cursor", message.lastEventId);
      });
    }
    this.is(this.failures ? "reconnecting" : "connecting");
  }

  // The browser would try again by itself, at a fixed pace, and never after an answer that is no
  // stream: so it is done here, once we know why.
  async lost() {
    this.disconnect();
    this.is("reconnecting");
    this.failures += 1;
    const status = await fetch(address("/api/session")).then((answer) => answer.status, () => 0);
    if (this.state !== "reconnecting") return;
    if (status === 401) {
      this.end("signed out");
      return;
    }
    // The stream of what was deleted never comes back, and neither does its page.
    if (status === 200 && this.failures > 1) {
      const page = await fetch(location.href, { method: "HEAD" }).then((answer) => answer.status, () => 0);
      if (this.state !== "reconnecting") return;
      if (page === 404) {
        this.end("gone");
        return;
      }
    }
    const pause = Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** (this.failures - 1));
    this.timer = setTimeout(() => this.connect(), pause * (0.75 + Math.random() / 2));
  }

  end(state) {
    this.disconnect();
    this.is(state);
  }

  disconnect() {
    clearTimeout(this.timer);
    this.source?.close();
  }

  is(state) {
    this.state = state;
    say();
  }
}

const WORDS = [
  ["signed out", "✕ ", "Signed out: reload the page to sign in"],
  ["gone", "✕ ", "Deleted: what this page shows is no more"],
  ["reconnecting", "◐ ", "Reconnecting…"],
  ["connecting", "◐ ", "Connecting…"],
  ["paused", "○ ", "Paused"],
  ["open", "● ", "Live"],
];

function say() {
  const states = [...streams].map((stream) => stream.state);
  const found = WORDS.find(([state]) => states.includes(state));
  line.hidden = !found;
  if (!found) return;
  const [state, mark, text] = found;
  line.dataset.state = state;
  if (line.textContent !== mark + text) line.textContent = mark + text;
}

let hiding;

document.addEventListener("visibilitychange", () => {
  clearTimeout(hiding);
  if (document.hidden) {
    hiding = setTimeout(() => {
      for (const stream of streams) if (!ENDED.includes(stream.state)) stream.end("paused");
    }, HIDDEN_MS);
  } else {
    for (const stream of streams) if (stream.state === "paused") stream.connect();
  }
});

// A page that the browser keeps for the way back holds no connection either.
addEventListener("pagehide", () => {
  for (const stream of streams) if (!ENDED.includes(stream.state)) stream.end("paused");
});
addEventListener("pageshow", () => {
  for (const stream of streams) if (stream.state === "paused") stream.connect();
});

// What the server says of a form: {text, location}, or throws an Error with its sentence.
export async function send(form, button) {
  const body = new URLSearchParams(new FormData(form, button));
  const action = button?.getAttribute("formaction") || form.getAttribute("action");
  let answer;
  try {
    answer = await fetch(action, { method: "POST", body, headers: { accept: "application/json" } });
  } catch {
    throw new Error("The dashboard does not answer; try again when it is back.");
  }
  const said = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(said.error || `That did not work (${answer.status}).`);
  return said;
}
