// A button that copies; where nothing can, the text is there to be marked.

function offer() {
  for (const button of document.querySelectorAll("[data-copies]")) button.hidden = !navigator.clipboard;
}

document.addEventListener("click", async ({ target }) => {
  const button = target.closest?.("[data-copies]");
  if (!button) return;
  await navigator.clipboard.writeText(document.getElementById(button.dataset.copies).textContent);
  button.textContent = "Copied";
  document.getElementById("announcer").textContent = "Copied.";
});

document.addEventListener("htmx:after:swap", offer);
offer();
