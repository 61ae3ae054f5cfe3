// Selecting rows of the queue by key and by range, kept over a reload. The list works without it:
// its boxes and buttons are plain parts of a form.

const KEPT = "queue-selection";
const list = document.getElementById("rows");
const inList = (selector) => [...list.querySelectorAll(selector)];
const boxes = () => inList("input[name=ids]:not(:disabled)");
const picked = new Set(JSON.parse(sessionStorage.getItem(KEPT) ?? "[]"));
// Where a range begins, and the row that somebody was at before they pressed a button.
let from = "";
let row = null;

function show() {
  // A row that is over has nothing to select any more.
  for (const box of inList("input[name=ids]")) box.checked = !box.disabled && picked.has(box.value);
  const count = boxes().filter((box) => box.checked).length;
  const text = document.getElementById("selected-count");
  if (text) text.textContent = `${count} selected`;
  const all = document.getElementById("pick-all");
  if (!all) return;
  all.checked = count > 0 && count === boxes().length;
  all.indeterminate = count > 0 && !all.checked;
  document.getElementById("pick-all-label").hidden = false;
}

function pick(pks, isOn) {
  for (const pk of pks) isOn ? picked.add(pk) : picked.delete(pk);
  sessionStorage.setItem(KEPT, JSON.stringify([...picked]));
  show();
}

// Between two rows of the list, both included.
function range(one, other) {
  const pks = boxes().map((box) => box.value);
  const ends = [pks.indexOf(one), pks.indexOf(other)].filter((end) => end >= 0).sort((a, b) => a - b);
  return pks.slice(ends[0], ends.at(-1) + 1);
}

list.addEventListener("click", (event) => {
  const box = event.target.closest("input[type=checkbox]");
  if (!box) return;
  if (box.id === "pick-all") return pick(boxes().map((one) => one.value), box.checked);
  pick(event.shiftKey && from ? range(from, box.value) : [box.value], box.checked);
  from = box.value;
});

list.addEventListener("focusin", ({ target }) => (row = target.closest("tr[id]") ?? row));

// The keys x and X press these two buttons, as every key presses what is on the page.
document.getElementById("picking").hidden = boxes().length === 0;
document.getElementById("picking").addEventListener("click", ({ target }) => {
  const box = row?.isConnected && row.querySelector("input[name=ids]:not(:disabled)");
  if (!box) return;
  if (target.dataset.key === "X" && from) pick(range(from, box.value), true);
  else pick([box.value], !box.checked);
  from = box.value;
});

document.addEventListener("htmx:before:swap", () => {
  const focused = document.activeElement;
  list.dataset.lost = list.contains(focused) ? (focused.closest("tr")?.id ?? "pill") : "";
});
document.addEventListener("htmx:after:swap", ({ detail: { ctx } }) => {
  if (ctx.target !== list) return;
  show();
  // The pill is gone once its rows have come: go on where they stand.
  const isLost = document.activeElement === document.body || !document.activeElement;
  if (isLost && list.dataset.lost) inList("[data-row]")[0]?.focus();
});

// What was sent is not selected any more when the list comes back.
document.addEventListener("submit", ({ target }) => {
  if (target.id === "selection") sessionStorage.removeItem(KEPT);
});

show();
