// Runs before the page's own scripts and reports, through the console, what nobody would see.
addEventListener("securitypolicyviolation", (event) =>
  console.error(`CSP violation: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`),
);

window.layoutShift = 0;
new PerformanceObserver((list) => {
  for (const shift of list.getEntries()) if (!shift.hadRecentInput) window.layoutShift += shift.value;
}).observe({ type: "layout-shift", buffered: true });

// A person who works by keyboard is lost when the focus falls back to the top of the page.
let hadFocus = false;
const isLost = () => !document.activeElement || document.activeElement === document.body;
document.addEventListener("htmx:before:swap", () => (hadFocus = !isLost()), true);
document.addEventListener("htmx:after:swap", ({ detail: { ctx } }) => {
  const isChange = ctx.request.method !== "GET";
  const had = hadFocus;
  requestAnimationFrame(() => {
    if (isLost() && (had || isChange)) console.error(`Focus lost after ${ctx.request.method} ${ctx.request.action}`);
  });
});
