// What the doctor finds; asked for again for as long as it is still being looked.

import { redraw } from "./page.js";

const PAUSE_MS = 1000;

async function wait() {
  while (document.querySelector("[data-looking]")) {
    await redraw();
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}

wait();
