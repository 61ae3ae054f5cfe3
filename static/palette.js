// The palette: the buttons and links of the page, found by typing. `app.js` loads it when it is wanted.

const palette = document.getElementById("palette");
let offered = [];
let all;
let use;

export function open(page) {
  ({ all, use } = page);
  const { canPress, nameOf } = page;
  const shown = all("[data-key], [data-view]").filter((element) => canPress(element) && !element.closest("dialog"));
  offered = shown.map((element) => ({ element, text: nameOf(element), key: element.dataset.key ?? "" }));
  palette.querySelector("input").value = "";
  palette.showModal();
  palette.dispatchEvent(new CustomEvent("opened"));
  listOffered();
}

function listOffered() {
  const wanted = palette.querySelector("input").value.toLowerCase().split(" ");
  const views = all("a", palette).map((element) => ({ element, text: element.textContent.trim(), key: "" }));
  const fitting = [...offered, ...views].filter(({ text }) => wanted.every((word) => text.toLowerCase().includes(word)));
  palette.querySelector("ul").replaceChildren(...fitting.map(optionFor));
  palette.querySelector("[role=status]").textContent = fitting.length ? "" : "Nothing here is called that.";
  choose(0);
}

function optionFor({ element, text, key }, index) {
  const option = document.createElement("li");
  option.id = `offer-${index}`;
  option.role = "option";
  option.textContent = text;
  if (key) option.appendChild(document.createElement("kbd")).textContent = key;
  option.addEventListener("click", () => {
    palette.close();
    if (element.closest("dialog")) location.assign(element.href);
    else use(element);
  });
  return option;
}

function choose(index) {
  const options = all("[role=option]", palette);
  options.forEach((option, at) => (option.ariaSelected = String(at === index)));
  palette.querySelector("input").setAttribute("aria-activedescendant", options[index]?.id ?? "");
  options[index]?.scrollIntoView({ block: "nearest" });
}

palette.addEventListener("input", listOffered);
palette.addEventListener("htmx:after:swap", listOffered);
palette.addEventListener("keydown", (event) => {
  const options = all("[role=option]", palette);
  const at = options.findIndex((option) => option.ariaSelected === "true");
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (step) choose((at + step + options.length) % options.length);
  else if (event.key === "Enter") options[at]?.click();
  else return;
  event.preventDefault();
});
