// What HTML cannot do by itself: times in the reader's zone, arrow keys in lists, and news of changed mail.
(() => {
  "use strict";

  const shortTime = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
  const shortDate = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
  const shortYear = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "numeric" });
  const full = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit", timeZoneName: "short" });

  function brief(time) {
    const now = new Date();
    if (time.toDateString() === now.toDateString()) return shortTime.format(time);
    return (time.getFullYear() === now.getFullYear() ? shortDate : shortYear).format(time);
  }

  function localise(root) {
    for (const element of root.querySelectorAll("time[datetime]")) {
      const time = new Date(element.dateTime);
      if (Number.isNaN(time.getTime())) continue;
      element.title = full.format(time);
      element.textContent = element.closest(".rows, .brief") ? brief(time) : full.format(time);
    }
  }

  // Arrow keys and j, k act only while a row has the focus (WCAG 2.1.4).
  const steps = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1 };
  document.addEventListener("keydown", (event) => {
    const row = event.target.closest?.(".rows li");
    const step = steps[event.key];
    if (!row || !step || event.ctrlKey || event.altKey || event.metaKey) return;
    const rows = [...row.parentElement.children];
    const next = rows[rows.indexOf(row) + step];
    if (!next) return;
    event.preventDefault();
    const kind = event.target.matches("input") ? "input" : "a";
    next.querySelector(kind)?.focus();
  });

  // Changes come in bursts: the list is read again once for each burst.
  let pending = 0;
  function refreshSoon() {
    if (pending) return;
    pending = setTimeout(() => {
      pending = 0;
      document.body.dispatchEvent(new CustomEvent("mail-changed"));
    }, 300);
  }

  const live = document.getElementById("live");
  if (live?.hasAttribute("hx-get") && window.EventSource) {
    const events = new EventSource("/events");
    for (const kind of ["new", "changed", "removed", "reset"]) events.addEventListener(kind, refreshSoon);
    window.addEventListener("pagehide", () => events.close());
    window.addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
  }

  // A second click sends nothing, nor do more files than are accepted, and who leaves is asked: so nothing that was typed
  // is lost.
  for (const form of document.querySelectorAll("form[data-once]")) {
    const files = form.querySelector("input[type=file]");
    let sent = false;
    let changed = false;
    form.addEventListener("input", () => { changed = true; });
    window.addEventListener("beforeunload", (event) => { if (changed) event.preventDefault(); });
    form.addEventListener("submit", (event) => {
      if (sent) event.preventDefault();
      sent = true;
      changed = false;
      setTimeout(() => { sent = false; }, 2000);
    });
    const weigh = () => {
      const octets = [...files.files].reduce((sum, file) => sum + file.size, 0);
      files.setCustomValidity(octets > form.dataset.max ? "These files are too large for one message." : "");
    };
    files.addEventListener("change", () => { weigh(); files.reportValidity(); });
    weigh(); // those that were chosen before this ran
  }

  // A secret is shown once, to be copied: the clipboard is open to pages by https only.
  for (const button of document.querySelectorAll("[data-copies]")) {
    button.hidden = !navigator.clipboard;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(document.getElementById(button.dataset.copies).value);
      button.textContent = "Copied";
    });
  }

  // The page of a new key is the answer to a form: loaded again it would make another key.
  const once = document.querySelector("[data-reloads]");
  if (once) history.replaceState(null, "", once.dataset.reloads);

  document.addEventListener("change", (event) => {
    const form = event.target.dataset.marks;
    if (!form) return;
    for (const box of document.querySelectorAll(`input[form="${form}"]`)) box.checked = event.target.checked;
  });

  function prepare() {
    localise(document);
    for (const box of document.querySelectorAll("[data-marks]")) box.parentElement.hidden = false;
  }

  document.addEventListener("htmx:after:swap", prepare);
  prepare();
})();
