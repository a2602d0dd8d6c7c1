// Light or dark, where somebody has chosen: kept in this browser, set before anything is painted. No module,
// because modules wait for the whole page.
"use strict";

(() => {
  const KEY = "hermes-theme";
  const NAMES = { "": "Auto", light: "Light", dark: "Dark" };
  const ORDER = Object.keys(NAMES);
  const root = document.documentElement;

  // A browser that keeps nothing for us throws.
  function kept() {
    try {
      return localStorage.getItem(KEY) ?? "";
    } catch {
      return "";
    }
  }

  function keep(theme) {
    try {
      localStorage.setItem(KEY, theme);
    } catch {
      // It holds for this page then.
    }
  }

  function show(theme) {
    const known = ORDER.includes(theme) ? theme : "";
    if (known) root.dataset.theme = known;
    else delete root.dataset.theme;
    const word = document.querySelector("#theme .word");
    if (word) word.textContent = NAMES[known];
    return known;
  }

  let theme = show(kept());
  // Another tab has changed it.
  addEventListener("storage", (event) => { if (event.key === KEY) theme = show(event.newValue ?? ""); });
  addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("theme");
    button.hidden = false;
    show(theme);
    button.addEventListener("click", () => {
      theme = show(ORDER[(ORDER.indexOf(theme) + 1) % ORDER.length]);
      keep(theme);
    });
  });
})();
