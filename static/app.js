// What HTML and htmx cannot say: keys, ticking times, focus, theme, and the CSRF header.
// Everything here is a convenience; every page works without it.

const root = document.documentElement;
const TICK_MS = 200;
const QUIET_AFTER_SWAP_MS = 400;
const CHORD_MS = 1_200;

const meta = (name) => document.querySelector(`meta[name="${name}"]`)?.content ?? "";
const all = (selector, from = document) => [...from.querySelectorAll(selector)];
const readCookie = (name) =>
  document.cookie.split("; ").find((part) => part.startsWith(`${name}=`))?.slice(name.length + 1) ?? "";
const writeCookie = (name, value) => {
  const secure = location.protocol === "https:" ? "; secure" : "";
  document.cookie = `${name}=${value}; path=/; max-age=31536000; samesite=lax${secure}`;
};

// The reader's time zone, so that the server can write local times.
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
if (zone && readCookie("tz") !== zone) writeCookie("tz", zone);

// Requests -----------------------------------------------------------------------------------

// A sign of life is sent by the page itself, and changes nothing that anybody waits for.
const isChange = (ctx) => !/^(GET|HEAD)$/i.test(ctx.request.method) && ctx.sourceElement?.id !== "keep";
let changesInFlight = 0;
let quietUntil = performance.now() + QUIET_AFTER_SWAP_MS;

document.addEventListener("htmx:config:request", ({ detail: { ctx } }) => {
  if (/^(GET|HEAD)$/i.test(ctx.request.method)) return;
  // Django reads the field before the header, and the field is stale after signing in elsewhere.
  ctx.request.body?.delete?.("csrfmiddlewaretoken");
  ctx.request.headers["X-CSRFToken"] = readCookie(meta("csrf-cookie"));
});
document.addEventListener("htmx:before:request", ({ detail: { ctx } }) => {
  if (isChange(ctx)) setBusy(changesInFlight + 1);
});
document.addEventListener("htmx:finally:request", ({ detail: { ctx } }) => {
  if (isChange(ctx)) setBusy(Math.max(0, changesInFlight - 1));
});
// Afterwards the form is gone, and htmx names another element as the source.
document.addEventListener("htmx:before:swap", ({ detail: { ctx } }) => {
  if (isChange(ctx) && ctx.response.status < 400) forgetDrafts(ctx.sourceElement);
});
document.addEventListener("htmx:after:swap", ({ detail: { ctx } }) => {
  tick(() => false); // What just arrived counts its seconds from now.
  restoreDrafts();
  announce();
  if (!isChange(ctx) && document.activeElement !== document.body) return;
  if (isChange(ctx)) quietUntil = performance.now() + QUIET_AFTER_SWAP_MS;
  const swapped = ctx.target?.id ? document.getElementById(ctx.target.id) : null;
  const places = [swapped, document.getElementById("decide"), document.querySelector("main")];
  places.map((place) => place?.querySelector("[data-autofocus]")).find(Boolean)?.focus();
});
document.addEventListener("htmx:error", ({ detail: { ctx } }) => {
  if (ctx && isChange(ctx)) toast("Nothing was sent. Your text is kept.");
});
document.addEventListener("htmx:response:error", ({ detail: { ctx } }) => {
  if (ctx.response.status < 500 || !isChange(ctx)) return;
  const id = ctx.response.headers.get("X-Error-Id") ?? ctx.response.status;
  toast(`The server failed (error ${id}). Your text is kept. What is recorded stands on the page.`);
  tick(() => true);
});

// Drafts: what is being written outlives a lost session, a lost hold and a reload, in this tab alone.

const draftKey = (form) => `draft:${form.dataset.draft}:${form.elements.verdict?.value ?? ""}`;
const draftsOf = (item) => Object.keys(sessionStorage).filter((key) => key.startsWith(`draft:${item}:`));

document.addEventListener("input", ({ target }) => {
  const form = target.form?.closest("[data-draft]");
  if (!form) return;
  const shown = [...new FormData(form)].filter(([name]) => form.elements[name].type !== "hidden");
  sessionStorage.setItem(draftKey(form), JSON.stringify(shown));
});

function restoreDrafts() {
  for (const form of all("form[data-draft]")) {
    for (const [name, value] of JSON.parse(sessionStorage.getItem(draftKey(form)) ?? "[]")) {
      const field = form.elements[name];
      if (field?.type === "checkbox") field.checked = true;
      else if (field && (field.defaultValue === undefined || field.value === field.defaultValue)) field.value = value;
    }
  }
  for (const kept of all("[data-kept]")) {
    const notes = draftsOf(kept.dataset.kept).flatMap((key) => JSON.parse(sessionStorage.getItem(key)));
    const note = notes.find(([name, value]) => name === "note" && value)?.[1];
    if (!note) continue;
    kept.querySelector("textarea").value = note;
    kept.hidden = false;
  }
}

function forgetDrafts(source) {
  const item = source?.dataset.draft ?? source?.elements?.item?.value;
  for (const key of item ? draftsOf(item) : []) sessionStorage.removeItem(key);
}

function setBusy(count) {
  changesInFlight = count;
  root.classList.toggle("busy", count > 0);
}

function toast(text) {
  const box = document.getElementById("toast");
  box.querySelector("p").textContent = text;
  box.hidden = false;
}

function announce() {
  const news = document.querySelector("[data-announce]");
  const voice = document.getElementById("announcer");
  if (news && voice.textContent !== news.dataset.announce) voice.textContent = news.dataset.announce;
}

// Live parts: `data-live` says every how many seconds an element would like to be asked again.

const askedAt = new WeakMap();

function tick(isDue) {
  if (document.hidden) return;
  const now = performance.now();
  for (const element of all("[data-live]")) {
    const last = askedAt.get(element) ?? askedAt.set(element, now).get(element);
    if (!isDue(now - last, Number(element.dataset.live) * 1_000)) continue;
    askedAt.set(element, now);
    element.dispatchEvent(new CustomEvent("tick"));
  }
}
setInterval(() => tick((age, wanted) => age >= wanted), TICK_MS);
document.addEventListener("visibilitychange", () => tick(() => true));

// Times --------------------------------------------------------------------------------------

function span(seconds) {
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes}m`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return minutes % 60 ? `${hours}h ${minutes % 60}m` : `${hours}h`;
  const days = Math.floor(hours / 24);
  return hours % 24 ? `${days}d ${hours % 24}h` : `${days}d`;
}

const SAY = {
  ago: (left) => (left > 0 ? `in ${span(left)}` : -left < 60 ? "just now" : `${span(-left)} ago`),
  age: (left) => (-left < 60 ? "now" : span(Math.abs(left))),
  left: (left) => (left >= 0 ? `${span(left)} left` : `${span(-left)} over`),
  until: (left) => {
    const whole = Math.max(0, Math.ceil(left));
    return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
  },
  due: (left) => (left >= 0 ? `due in ${span(left)}` : `overdue by ${span(-left)}`),
};

// Never while a page or a part of it arrives: what the server has just written is true, and a text
// that grows by a digit moves what stands beside it.
function writeTimes() {
  for (const time of all("time[data-relative]")) {
    const text = SAY[time.dataset.relative]((Date.parse(time.dateTime) - Date.now()) / 1_000);
    if (time.textContent !== text) time.textContent = text;
  }
}
setInterval(writeTimes, 15_000);

// What ends within minutes counts its seconds; when it is over the page asks what is true now.
setInterval(() => {
  if (document.querySelector("[data-relative=until]")) writeTimes();
  for (const part of all("[data-ends]")) {
    const ends = Date.parse(part.dataset.ends);
    if (ends > Date.now()) continue;
    part.removeAttribute("data-ends");
    if (part.contains(document.activeElement)) document.querySelector("h1")?.focus();
    part.hidden = part.matches(".undo");
    tick(() => true);
  }
}, 1_000);

// A hold is kept alive while somebody is at work before a page that can be seen.
const BEAT_MS = 60_000;
const AT_WORK_MS = 300_000;
let touchedAt = Date.now();
for (const kind of ["pointerdown", "pointermove", "keydown", "wheel"])
  document.addEventListener(kind, () => (touchedAt = Date.now()), { passive: true, capture: true });
setInterval(() => {
  const isAtWork = !document.hidden && Date.now() - touchedAt < AT_WORK_MS;
  if (isAtWork) document.getElementById("keep")?.dispatchEvent(new CustomEvent("beat"));
}, BEAT_MS);

// Keys: they press the buttons that are on the page, so that keys, mouse and screen readers share a path.

const TYPING = "input:not([type=radio], [type=checkbox], [type=submit]), textarea, select, [contenteditable]";
let chord = "";
let chordAt = -Infinity;

const keysAreOff = () => localStorage.getItem("keys") === "off";
const isFree = () => changesInFlight === 0 && performance.now() >= quietUntil;

document.addEventListener("keydown", (event) => {
  if (event.repeat || event.isComposing || event.defaultPrevented || !isFree()) return;
  if ((event.metaKey || event.ctrlKey) && event.key === "Enter") return submitFromField(event);
  if ((event.metaKey || event.ctrlKey) && event.key === "k") return openPalette(event);
  if (event.metaKey || event.ctrlKey || event.altKey || keysAreOff() || event.target.closest(TYPING)) return;
  press(event);
});

function submitFromField(event) {
  if (!event.target.form) return;
  event.preventDefault();
  event.target.form.requestSubmit();
}

function press(event) {
  const key = performance.now() - chordAt < CHORD_MS ? `${chord} ${event.key}` : event.key;
  chordAt = -Infinity;
  if (event.key === "j" || event.key === "k") return moveRow(event, event.key === "j" ? 1 : -1);
  const scope = document.querySelector("dialog[open]") ?? document;
  const fitting = all(`[data-key="${CSS.escape(key)}"]`, scope).filter(canPress);
  // A form that was opened on purpose goes before the rest of the page.
  const target = fitting.find((element) => element.closest("details[name][open]")) ?? fitting[0];
  if (target) {
    event.preventDefault();
    use(target);
  } else if (all(`[data-key^="${CSS.escape(key)} "]`).length) {
    chord = key;
    chordAt = performance.now();
  }
}

const canPress = (element) => !element.disabled && element.checkVisibility();

function use(element) {
  element.classList.add("pressed");
  setTimeout(() => element.classList.remove("pressed"), 160);
  if (element.matches("input, textarea, summary, [tabindex]")) element.focus();
  if (!element.matches("input[type=search], textarea")) element.click();
}

function moveRow(event, step) {
  const rows = all("[data-row]").filter(canPress);
  if (!rows.length) return;
  event.preventDefault();
  const here = rows.findIndex((row) => row === document.activeElement);
  const current = rows.findIndex((row) => row.matches("[aria-current]"));
  const from = here >= 0 ? here : current >= 0 ? current : step > 0 ? -1 : rows.length;
  rows[Math.min(rows.length - 1, Math.max(0, from + step))].focus();
}

// Opening a folded form puts the cursor where the answer goes, unless a quick hand is already there:
// the event comes late, and letters typed into a note would become keys.
document.addEventListener(
  "toggle",
  ({ target }) => {
    const isInside = target.contains(document.activeElement) && !document.activeElement.matches("summary");
    if (target.open && !isInside) target.querySelector?.("[data-first]")?.focus();
  },
  true,
);

// The sheet of keys is made from the page itself, so it cannot be out of date.
function listKeys() {
  const named = all("[data-key]").filter((element) => element.checkVisibility() || element.closest("details"));
  const rows = [["j", "Next row"], ["k", "Previous row"]].filter(() => all("[data-row]").length);
  for (const element of named) rows.push([element.dataset.key, nameOf(element)]);
  rows.push(["Ctrl k", "Find what can be done here"], ["Ctrl Enter", "Send the form you are typing in"], ["Esc", "Close"]);
  document.getElementById("keys-list").replaceChildren(...rows.map(keyRow));
}

function nameOf(element) {
  const label = element.labels?.[0] ?? element;
  const copy = label.cloneNode(true);
  for (const extra of all("kbd, svg, .count, .opened", copy)) extra.remove();
  return element.getAttribute("aria-label") ?? copy.textContent.trim();
}

function keyRow([key, text]) {
  const row = document.createElement("div");
  const term = row.appendChild(document.createElement("dt"));
  for (const part of key.split(" ")) term.appendChild(document.createElement("kbd")).textContent = part;
  row.appendChild(document.createElement("dd")).textContent = text;
  return row;
}

// The palette is fetched when somebody asks for it first.
async function openPalette(event) {
  event?.preventDefault();
  const source = document.querySelector("[data-palette]")?.dataset.palette;
  if (!source || document.querySelector("dialog[open]")) return;
  (await import(source)).open({ all, canPress, nameOf, use });
}

document.addEventListener("click", ({ target }) => {
  const opener = target.closest("[data-opens]");
  if (opener?.dataset.opens === "palette") return openPalette();
  if (opener?.dataset.opens === "keys") listKeys();
  if (opener) document.getElementById(opener.dataset.opens).showModal();
  if (target.closest("[data-closes]")) target.closest("dialog, .toast").close?.();
  if (target.closest("#toast [data-closes]")) document.getElementById("toast").hidden = true;
});

const keySwitch = document.getElementById("keys-switch");
keySwitch?.addEventListener("change", () => localStorage.setItem("keys", keySwitch.checked ? "on" : "off"));
if (keySwitch) keySwitch.checked = !keysAreOff();

// Theme: the server reads the cookie and writes data-theme, so the first paint is already right.
document.addEventListener("submit", (event) => {
  const theme = event.submitter?.name === "theme" && event.submitter.value;
  if (!theme) return;
  event.preventDefault();
  writeCookie("theme", theme);
  root.dataset.theme = theme;
  for (const button of all("button[name=theme]")) button.ariaPressed = String(button.value === theme);
});

restoreDrafts();
