// A report follows its filter at once. Without this there is a button that does the same.

const FORM = "form[data-report]";

// What is empty says nothing, in the address either.
document.addEventListener("formdata", ({ target, formData }) => {
  if (!target.matches(FORM)) return;
  for (const [name, value] of [...formData]) if (!value) formData.delete(name);
});

document.addEventListener("htmx:after:swap", ({ detail: { ctx } }) => {
  if (!ctx.sourceElement?.matches(FORM)) return;
  const query = new URLSearchParams(new FormData(document.querySelector(FORM)));
  history.replaceState(null, "", `${location.pathname}?${query}`);
});
