// Moves each inline script of the exported pages into a file of its own, so that the
// Content-Security-Policy can be `script-src 'self'`, without hashes or exceptions.
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const OUT = join(import.meta.dirname, "..", "out");
const FOLDER = "_next/static/chunks";
const INLINE = /<script(?![^>]*\bsrc=)([^>]*)>([\s\S]*?)<\/script>/g;

function toFile(_tag, attributes, source) {
  const hash = createHash("sha256").update(source).digest("hex").slice(0, 16);
  writeFileSync(join(OUT, FOLDER, `inline-${hash}.js`), source);
  // Neither async nor deferred: it runs where it stood, before what follows it.
  return `<script${attributes} src="/${FOLDER}/inline-${hash}.js"></script>`;
}

for (const name of readdirSync(OUT, { recursive: true })) {
  if (!name.endsWith(".html")) continue;
  const file = join(OUT, name);
  writeFileSync(file, readFileSync(file, "utf8").replace(INLINE, toFile));
}
