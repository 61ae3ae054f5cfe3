// Arrow keys on the rows of a trace. Without this, Tab does the same.

const rows = () => [...document.querySelectorAll("#run-trace [data-span]")];

document.addEventListener("keydown", (event) => {
  const here = event.target.closest?.("#run-trace [data-span]");
  if (!here || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
  const all = rows();
  const at = all.indexOf(here);
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: all.length - 1 }[event.key];
  if (to !== undefined) {
    event.preventDefault();
    all[Math.min(all.length - 1, Math.max(0, to))].focus();
  }
  // Right opens what is folded, left closes it.
  const wanted = { ArrowRight: "Open", ArrowLeft: "Close" }[event.key];
  const toggle = here.closest("li")?.querySelector(".toggle");
  if (wanted && toggle?.getAttribute("aria-label").startsWith(wanted)) {
    event.preventDefault();
    toggle.click();
  }
});

// What was opened by hand is looked at now.
document.addEventListener("htmx:after:swap", ({ detail: { ctx } }) => {
  if (!ctx.sourceElement?.matches("[data-span]")) return;
  for (const row of rows()) row.toggleAttribute("aria-current", row === ctx.sourceElement);
  ctx.sourceElement.setAttribute("aria-current", "true");
  document.getElementById("span-title")?.focus({ preventScroll: true });
  document.getElementById("trace-detail").scrollIntoView({ block: "nearest" });
});
