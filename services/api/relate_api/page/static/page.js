// What HTML cannot do by itself: times in the reader's zone, arrow keys in lists, and news of changed mail.
(() => {
  "use strict";

  const shortTime = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
  const shortDate = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
  const shortYear = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "numeric" });
  const full = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit", timeZoneName: "short" });

  // What waits for its next attempt needs the time of other days, too; a list of mail has no room for it.
  function brief(time, hasTime) {
    const now = new Date();
    if (time.toDateString() === now.toDateString()) return shortTime.format(time);
    const day = (time.getFullYear() === now.getFullYear() ? shortDate : shortYear).format(time);
    return hasTime ? `${day}, ${shortTime.format(time)}` : day;
  }

  function localise(root) {
    for (const element of root.querySelectorAll("time[datetime]")) {
      const time = new Date(element.dateTime);
      if (Number.isNaN(time.getTime())) continue;
      element.title = full.format(time);
      element.textContent = element.closest(".rows, .brief") ? brief(time, element.closest(".brief")) : full.format(time);
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

  // A notice is told once: a reload does not tell it again.
  const told = new URL(location);
  if (told.searchParams.has("done")) {
    sessionStorage.clear();
    for (const name of ["done", "message", "changed", "marked"]) told.searchParams.delete(name);
    history.replaceState(null, "", told);
  }

  document.querySelector("form[action='/sign-out']")?.addEventListener("submit", () => sessionStorage.clear());

  const live = document.getElementById("live");
  if (live?.hasAttribute("hx-get") && window.EventSource) {
    const events = new EventSource("/events");
    for (const kind of ["new", "changed", "removed", "reset"]) events.addEventListener(kind, refreshSoon);
    window.addEventListener("pagehide", () => events.close());
    window.addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
  }

  // A second click sends nothing, nor do more files than are accepted, and the browser asks before typed text is left. The
  // address has the form's key, so that it leads to the same form again, which sends once. What was typed is kept in the tab
  // until a page tells what was done, because the session may end meanwhile.
  for (const form of document.querySelectorAll("form[data-once]")) {
    const files = form.querySelector("input[type=file]");
    const address = new URL(location);
    for (const name of address.search ? ["key"] : ["reply", "forward", "draft", "key"]) {
      const value = form.elements[name]?.value;
      if (value) address.searchParams.set(name, value);
    }
    history.replaceState(null, "", address);
    const store = `form ${form.elements.key.value}`;
    const fields = [...form.querySelectorAll("input[type=text], textarea")];
    let sent = false;
    let changed = "refused" in form.dataset; // then the page has what was typed
    const kept = changed ? {} : JSON.parse(sessionStorage.getItem(store)) ?? {};
    for (const field of fields.filter((each) => each.name in kept && kept[each.name] !== each.value)) {
      field.value = kept[field.name];
      changed = true;
    }
    const keep = () => sessionStorage.setItem(store, JSON.stringify(Object.fromEntries(fields.map((each) => [each.name, each.value]))));
    form.addEventListener("input", () => { changed = true; });
    window.addEventListener("beforeunload", (event) => { if (changed) event.preventDefault(); });
    window.addEventListener("pagehide", () => { if (changed) keep(); });
    form.addEventListener("submit", (event) => {
      if (sent) event.preventDefault();
      if (event.submitter?.value === "discard") return; // what was typed since the last save is lost: that is asked
      keep();
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
