// Keeps a hold alive: once a minute, while the page is seen and somebody was at it of late.
// `data-keep` is a form whose fields name the hold, and the address that takes its sign of life.

const EVERY_MS = 60_000;
const AWAY_AFTER_MS = 300_000;
let activeAt = performance.now();

for (const sign of ["keydown", "pointerdown", "pointermove", "scroll"]) {
  addEventListener(sign, () => (activeAt = performance.now()), { passive: true });
}

async function keep() {
  const form = document.querySelector("form[data-keep]");
  if (!form || document.hidden || performance.now() - activeAt > AWAY_AFTER_MS) return;
  try {
    const answer = await fetch(form.dataset.keep, { method: "POST", body: new FormData(form) });
    if (answer.status === 409) document.querySelector("[data-hold-lost]").hidden = false;
  } catch {
    // Offline: the next minute tries again, and a verdict says by itself what became of it.
  }
}
setInterval(keep, EVERY_MS);
