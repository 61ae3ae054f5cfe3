// The editor of rules: live marks, completion, and the text that rows make. Without it the same form
// works by its buttons.

const PAUSE_MS = 400;
const RECHECK = "recheck";
const form = document.getElementById("rule-form");
const cookie = document.querySelector('meta[name="csrf-cookie"]').content;
const readToken = () =>
  document.cookie.split("; ").find((part) => part.startsWith(`${cookie}=`))?.slice(cookie.length + 1) ?? "";

// Checking: the server reads the form as it stands, and answers with marks --------------------

async function check() {
  const response = await fetch(form.dataset.check, {
    method: "POST",
    headers: { "X-CSRFToken": readToken() },
    body: new URLSearchParams(new FormData(form)),
  });
  if (![200, 422].includes(response.status)) throw new Error(`checking failed: ${response.status}`);
  return response.json();
}

const icon = (name) => {
  const sprite = document.querySelector("svg.icon use").getAttribute("href").split("#")[0];
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  svg.appendChild(document.createElementNS(svg.namespaceURI, "use")).setAttribute("href", `${sprite}#${name}`);
  return svg;
};

function markLine({ line, column, reason, suggestion, severity }) {
  const isError = severity === "error";
  const row = document.createElement("p");
  row.dataset.tone = isError ? "bad" : "warn";
  const text = document.createElement("span");
  const place = text.appendChild(document.createElement("span"));
  place.className = "place";
  place.textContent = `line ${line}, column ${column}`;
  text.append(` ${reason}${suggestion ? `; ${suggestion}` : ""}`);
  row.append(icon(isError ? "circle-alert" : "triangle-alert"), text);
  return row;
}

const KNOWN = "It compiles, and its fields are known.";
const UNKNOWN =
  "It compiles. Its arguments were not checked: not every action of its scope has a contract.";
const UNANSWERED =
  "It could not be checked: no answer came. What you wrote is kept; change it to check again, or save it.";

function plainLine(said, tone, sign) {
  const row = document.createElement("p");
  row.dataset.tone = tone;
  const text = document.createElement("span");
  text.textContent = said;
  row.append(icon(sign), text);
  return row;
}

const fineLine = (isWhole) => plainLine(isWhole ? KNOWN : UNKNOWN, isWhole ? "ok" : "", "circle-check");

function showMarks({ text, marks, is_whole: isWhole }) {
  showLines(marks.length ? marks.map(markLine) : text ? [fineLine(isWhole)] : []);
}

// What was said before is about another text.
const showUnanswered = () => showLines([plainLine(UNANSWERED, "warn", "triangle-alert")]);

// Said again only when it changed, or a screen reader would repeat it at every pause.
function showLines(lines) {
  const box = document.getElementById("marks");
  const fresh = lines.map((line) => line.textContent).join("\n");
  const shown = [...box.children].map((line) => line.textContent.trim()).join("\n");
  if (fresh !== shown) box.replaceChildren(...lines);
}

// Rows -----------------------------------------------------------------------------------------

let pause = 0;
let asked = 0;

function checkRowsSoon() {
  clearTimeout(pause);
  pause = setTimeout(checkRows, PAUSE_MS);
}

async function checkRows() {
  const preview = document.getElementById("preview");
  const isBlank = [...document.getElementsByName("row_field")].every((field) => !field.value);
  if (!preview || isBlank) return;
  const number = ++asked;
  const found = await check().catch(() => null);
  if (number !== asked || !preview.isConnected) return;
  if (!found) return showUnanswered();
  if (found.text) preview.textContent = found.text;
  preview.classList.toggle("unfinished", !found.text);
  showMarks(found);
  for (const [index, row] of [...document.querySelectorAll(".rows-builder > div")].entries()) {
    const problem = row.querySelector("[data-problem]");
    problem.querySelector("span").textContent = found.rows[index] ?? "";
    problem.hidden = !found.rows[index] || !row.querySelector("[name=row_field]").value;
  }
}

// An operator that takes nothing has no field for it.
function fitRow(row) {
  const { takes } = row.querySelector("[name=row_operator]").selectedOptions[0].dataset;
  const value = row.querySelector("[name=row_value]");
  value.readOnly = takes === "nothing";
  value.classList.toggle("unused", takes === "nothing");
  const field = row.querySelector("[name=row_field]").value.trim();
  const offered = fields().find(({ label }) => label === field);
  value.placeholder = takes === "nothing" ? "" : takes === "list" ? "EUR, USD" : (offered?.example ?? "");
}

const fitRows = () => document.querySelectorAll(".rows-builder > div").forEach(fitRow);

// The text -------------------------------------------------------------------------------------

const fields = () =>
  [...document.querySelectorAll("#fields-offered option")].map((option) => ({
    label: option.value,
    detail: option.dataset.type,
    info: option.label,
    example: option.dataset.example,
  }));

const FUNCTIONS = ["all", "exists", "exists_one", "filter", "map", "has", "size", "contains", "startsWith",
  "endsWith", "matches", "int", "double", "string", "timestamp", "duration"];
const WORDS = /^(?:true|false|null|in)\b/;
const ROOTS = /^(?:proposal|agent|run|context|history|now)\b/;

// Colours only: what a text means, the server says.
const cel = {
  name: "cel",
  token(stream) {
    if (stream.eatSpace()) return null;
    if (stream.match("//")) return stream.skipToEnd(), "comment";
    if (stream.match(/^[rRbB]{0,2}("(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?)/)) return "string";
    if (stream.match(/^(?:0x[\da-f]+|\d+(?:\.\d+)?(?:e[+-]?\d+)?)u?/i)) return "number";
    if (stream.match(WORDS)) return "keyword";
    if (stream.match(ROOTS)) return "variableName";
    if (stream.match(/^[A-Za-z_]\w*(?=\()/)) return "function";
    if (stream.match(/^[A-Za-z_]\w*/)) return "propertyName";
    if (stream.match(/^(?:&&|\|\||[=!<>]=|[<>!?:+\-*/%])/)) return "operator";
    return stream.next(), "punctuation";
  },
};

function complete(context) {
  const typed = context.matchBefore(/[\w.[\]"-]*/);
  if (!typed || (typed.from === typed.to && !context.explicit)) return null;
  const known = fields().filter(({ label }) => !label.includes("[]"));
  const named = known.map(({ label, detail, info, example }) => ({
    label,
    detail,
    info: example === undefined ? info : `${info}\nsuch as ${example}`,
    type: "property",
  }));
  const called = FUNCTIONS.map((label) => ({ label, type: "function", apply: `${label}(` }));
  return { from: typed.from, options: [...named, ...called], validFor: /^[\w.[\]"-]*$/ };
}

// Colours come from the page's own tokens, which reach into the shadow tree.
const theme = {
  "&": { fontSize: "0.875rem", color: "var(--ink)", backgroundColor: "var(--surface)" },
  "&.cm-focused": { outline: "none" },
  ".cm-scroller": { fontFamily: "var(--mono)", lineHeight: "1.6", minHeight: "9rem" },
  ".cm-content": { caretColor: "var(--ink)", padding: "0.4rem 0" },
  ".cm-cursor": { borderLeftColor: "var(--ink)" },
  ".cm-gutters": { backgroundColor: "transparent", color: "var(--ink-2)", border: "0" },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": {
    backgroundColor: "color-mix(in srgb, var(--accent) 28%, transparent)",
  },
  ".cm-matchingBracket, &.cm-focused .cm-matchingBracket": { backgroundColor: "var(--accent-soft)" },
  ".cm-nonmatchingBracket, &.cm-focused .cm-nonmatchingBracket": { backgroundColor: "var(--bad-soft)" },
  ".cm-lintRange-error": { backgroundImage: "none", textDecoration: "underline wavy var(--bad)" },
  ".cm-lintRange-warning": { backgroundImage: "none", textDecoration: "underline wavy var(--warn)" },
  ".cm-tooltip": {
    border: "1px solid var(--line)",
    borderRadius: "0.4rem",
    backgroundColor: "var(--surface)",
    color: "var(--ink)",
    boxShadow: "0 0.5rem 1.5rem var(--shade)",
  },
  ".cm-diagnostic": { padding: "0.3rem 0.6rem", fontFamily: "var(--sans)" },
  ".cm-diagnostic-error": { borderLeftColor: "var(--bad)" },
  ".cm-diagnostic-warning": { borderLeftColor: "var(--warn)" },
  ".cm-tooltip.cm-tooltip-autocomplete > ul": { fontFamily: "var(--mono)", maxHeight: "16rem" },
  ".cm-tooltip.cm-tooltip-autocomplete > ul > li": { padding: "0.2rem 0.6rem" },
  ".cm-tooltip.cm-tooltip-autocomplete > ul > li[aria-selected]": {
    backgroundColor: "var(--accent-soft)",
    color: "var(--ink)",
  },
  ".cm-completionDetail": { color: "var(--ink-2)", fontStyle: "normal" },
  ".cm-completionMatchedText": { textDecoration: "none", fontWeight: "700" },
  ".cm-tooltip.cm-completionInfo": { padding: "0.4rem 0.6rem", whiteSpace: "pre-line" },
};

class ConditionEditor extends HTMLElement {
  async connectedCallback() {
    const area = this.querySelector("textarea");
    const library = await import(area.dataset.library).catch(() => null);
    if (library && area.isConnected && !this.view) this.build(area, library);
  }

  disconnectedCallback() {
    this.view?.destroy();
    this.view = null;
  }

  // In a shadow tree CodeMirror adopts its style sheet, which the policy of the page allows; in the
  // page itself it would add a style element, which the policy refuses.
  build(area, cm) {
    const host = area.ownerDocument.createElement("div");
    host.className = "editor-host";
    area.before(host);
    const root = host.attachShadow({ mode: "open" });
    const hadFocus = area === document.activeElement || area.hasAttribute("data-autofocus");
    // Letters typed here are no keys of the page.
    host.addEventListener("keydown", (event) => event.stopPropagation());
    this.view = new cm.EditorView({ parent: root, root, doc: area.value, extensions: extensionsFor(cm, area) });
    // A class of ours, because htmx may still be settling the attributes of what it swapped in.
    this.classList.add("ready");
    if (hadFocus) this.view.focus();
  }

  recheck() {
    this.view?.dispatch({ userEvent: RECHECK });
  }
}

// Chromium keeps the style of a selection that is typed over in an inline style, which the policy
// refuses; so the editor replaces a selection itself.
function replaceSelection(cm) {
  return cm.EditorView.domEventHandlers({
    beforeinput(event, view) {
      const { from, to, empty } = view.state.selection.main;
      if (empty || event.inputType !== "insertText" || event.isComposing || !event.data) return false;
      event.preventDefault();
      const insert = () => view.state.update(view.state.replaceSelection(event.data), { userEvent: "input.type" });
      const handlers = view.state.facet(cm.EditorView.inputHandler);
      if (!handlers.some((handle) => handle(view, from, to, event.data, insert))) view.dispatch(insert());
      return true;
    },
  });
}

function extensionsFor(cm, area) {
  const colours = cm.HighlightStyle.define([
    { tag: cm.tags.keyword, color: "var(--accent)", fontWeight: "600" },
    { tag: cm.tags.string, color: "var(--ok)" },
    { tag: cm.tags.number, color: "var(--warn)" },
    { tag: cm.tags.comment, color: "var(--ink-2)", fontStyle: "italic" },
    { tag: cm.tags.function(cm.tags.variableName), color: "var(--accent)" },
    { tag: cm.tags.operator, color: "var(--ink-2)" },
    { tag: cm.tags.variableName, fontWeight: "600" },
  ]);
  const save = () => (form.querySelector("[name=do][value=save]").click(), true);
  return [
    cm.EditorView.theme(theme),
    cm.EditorView.lineWrapping,
    cm.EditorView.contentAttributes.of({
      "aria-label": "Condition",
      "aria-multiline": "true",
      autocapitalize: "none",
      spellcheck: "false",
    }),
    cm.EditorView.updateListener.of((update) => {
      if (update.docChanged) area.value = update.state.doc.toString();
    }),
    replaceSelection(cm),
    cm.lineNumbers(),
    cm.history(),
    cm.drawSelection(),
    cm.highlightSpecialChars(),
    cm.bracketMatching(),
    cm.closeBrackets(),
    cm.autocompletion({ override: [complete], icons: false }),
    cm.StreamLanguage.define({ ...cel, tokenTable: { function: cm.tags.function(cm.tags.variableName) } }),
    cm.syntaxHighlighting(colours),
    cm.linter(lint, { delay: PAUSE_MS, needsRefresh: isRecheck }),
    // Tab leaves the editor, as it leaves every field.
    cm.keymap.of([
      { key: "Mod-Enter", run: save },
      ...cm.closeBracketsKeymap,
      ...cm.completionKeymap,
      ...cm.lintKeymap,
      ...cm.historyKeymap,
      ...cm.defaultKeymap,
    ]),
  ];
}

const isRecheck = ({ transactions }) => transactions.some((one) => one.isUserEvent(RECHECK));

async function lint(view) {
  const number = ++asked;
  const found = await check().catch(() => null);
  if (number !== asked || !view.dom.isConnected) return [];
  if (!found) return showUnanswered(), [];
  showMarks(found);
  const end = view.state.doc.length;
  return found.marks.map((mark) => ({
    from: Math.min(mark.from, end),
    to: Math.min(mark.to, end),
    severity: mark.severity,
    message: mark.suggestion ? `${mark.reason}; ${mark.suggestion}` : mark.reason,
  }));
}

// The page -------------------------------------------------------------------------------------

form.addEventListener("input", ({ target }) => {
  if (target.closest(".rows-builder, .joins")) checkRowsSoon();
});
form.addEventListener("change", ({ target }) => {
  const row = target.closest(".rows-builder > div");
  if (row) fitRow(row);
});
document.addEventListener("htmx:after:swap", () => {
  // Whatever took the focus now must not take it again when another part arrives.
  for (const element of form.querySelectorAll("[data-autofocus]")) element.removeAttribute("data-autofocus");
  fitRows();
  if (document.getElementById("preview")) checkRowsSoon();
  else document.querySelector("condition-editor")?.recheck();
});

// What was written and not saved is not lost by a slip.
let isChanged = false;
form.addEventListener("input", () => (isChanged = true));
form.addEventListener("submit", () => (isChanged = false));
form.addEventListener("click", ({ target }) => {
  if (target.closest("[data-leaves]")) isChanged = false;
});
addEventListener("beforeunload", (event) => {
  if (isChanged) event.preventDefault();
});

customElements.define("condition-editor", ConditionEditor);
fitRows();
