// Copies the browser libraries from node_modules to static/vendor/ and writes down what they are.
//   cd frontend && npm ci && npm run vendor
// The result is committed, so that running or developing Countersign needs no Node.

import { createHash } from "node:crypto";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const modules = new URL("node_modules/", import.meta.url);
const vendor = new URL("../static/vendor/", import.meta.url);

const copies = [
  ["htmx.min.js", "htmx.org", "dist/htmx.min.js"],
  ["hx-ptag.min.js", "htmx.org", "dist/ext/hx-ptag.min.js"],
  ["htmx-LICENSE.txt", "htmx.org", "LICENSE"],
  ["lucide-LICENSE.txt", "lucide-static", "LICENSE"],
];

const { dependencies: pinned } = JSON.parse(await readFile(new URL("package.json", import.meta.url), "utf8"));
const read = (path) => readFile(new URL(path, modules), "utf8");

async function describe(name) {
  const { version, license } = JSON.parse(await read(`${name}/package.json`));
  return { package: name, version, licence: license };
}

async function buildSprite() {
  const names = JSON.parse(await readFile(new URL("icons.json", import.meta.url), "utf8"));
  const symbols = await Promise.all(names.map(buildSymbol));
  return `<svg xmlns="http://www.w3.org/2000/svg">\n${symbols.join("\n")}\n</svg>\n`;
}

async function buildSymbol(name) {
  const svg = await read(`lucide-static/icons/${name}.svg`);
  const shapes = svg.match(/<svg[^>]*>(.*)<\/svg>/s)[1].replace(/\s+/g, " ").replaceAll("> <", "><");
  return `<symbol id="${name}" viewBox="0 0 24 24">${shapes.trim()}</symbol>`;
}

// Everything that ends up in the bundle is pinned by name, so that the licences below are all there are.
async function buildEditor() {
  const { outputFiles, metafile } = await build({
    absWorkingDir: fileURLToPath(new URL(".", import.meta.url)),
    entryPoints: ["editor.mjs"],
    bundle: true,
    format: "esm",
    legalComments: "none",
    metafile: true,
    minify: true,
    target: "es2023",
    write: false,
  });
  const inside = Object.keys(metafile.inputs).map((path) => path.match(/node_modules\/((?:@[^/]+\/)?[^/]+)/)?.[1]);
  const names = [...new Set(inside)].filter(Boolean).sort();
  const unpinned = names.filter((name) => !(name in pinned));
  if (unpinned.length) throw new Error(`Pin ${unpinned.join(", ")} in package.json as well.`);
  return { text: outputFiles[0].text, names };
}

async function joinLicences(names) {
  const texts = await Promise.all(names.map((name) => read(`${name}/LICENSE`)));
  return names.map((name, index) => `${name}\n\n${texts[index].trim()}\n`).join("\n---\n\n");
}

async function put(file, text, about) {
  await writeFile(new URL(file, vendor), text);
  return { file, ...about, sha256: createHash("sha256").update(text).digest("hex") };
}

await rm(vendor, { recursive: true, force: true });
await mkdir(vendor, { recursive: true });
const manifest = [];
for (const [file, name, path] of copies) {
  manifest.push(await put(file, await read(`${name}/${path}`), await describe(name)));
}
manifest.push(await put("icons.svg", await buildSprite(), await describe("lucide-static")));
const { text, names } = await buildEditor();
const contains = await Promise.all(names.map(describe));
const editor = contains.find((part) => part.package === "@codemirror/view");
manifest.push(await put("codemirror.min.js", text, { ...editor, contains }));
manifest.push(await put("codemirror-LICENSE.txt", await joinLicences(names), { ...editor, contains }));
await writeFile(new URL("manifest.json", vendor), `${JSON.stringify(manifest, null, 2)}\n`);
for (const entry of manifest) console.log(`${entry.file}  ${entry.package} ${entry.version}`);
