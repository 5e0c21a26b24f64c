// Prints what the main page makes a browser download in JavaScript, gzipped, and fails
// above the budget; its last line is one JSON object. Counted: the scripts of
// out/index.html and, from them on, every chunk that they name, since a chunk that is
// loaded later is loaded all the same.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

const BUDGET_KB = 230;
const OUT = join(import.meta.dirname, "..", "out");
const CHUNK = /static\/chunks\/[\w.~-]+\.js/g;

const page = readFileSync(join(OUT, "index.html"), "utf8");
// Browsers that know modules skip `nomodule`: it is the polyfill for those that do not.
const modern = page.replace(/<script[^>]*\bnomodule\b[^>]*><\/script>/gi, "");

const sizes = new Map();
const waiting = modern.match(CHUNK) ?? [];
while (waiting.length) {
  const name = waiting.pop();
  const file = join(OUT, "_next", name);
  if (sizes.has(name) || !existsSync(file)) continue;
  const source = readFileSync(file);
  sizes.set(name, gzipSync(source, { level: 9 }).length / 1_000);
  waiting.push(...(source.toString().match(CHUNK) ?? []));
}

const total = [...sizes.values()].reduce((sum, size) => sum + size, 0);
for (const [name, size] of [...sizes].sort((a, b) => b[1] - a[1])) {
  console.log(`${size.toFixed(1).padStart(8)} kB  ${name}`);
}
console.log(`${total.toFixed(1).padStart(8)} kB  in all, budget ${BUDGET_KB} kB`);
console.log(JSON.stringify({ js_kb: Number(total.toFixed(1)), budget_kb: BUDGET_KB }));
if (total > BUDGET_KB) process.exitCode = 1;
