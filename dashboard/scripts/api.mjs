// Writes lib/api/schema.d.ts from the API's own description; with --check, fails when
// the file in the checkout is another one.
import { readFileSync, writeFileSync } from "node:fs";
import openapiTS, { astToString, COMMENT_HEADER } from "openapi-typescript";

const SOURCE = new URL("../../docs/reference/openapi.json", import.meta.url);
const TARGET = new URL("../lib/api/schema.d.ts", import.meta.url);

const written = COMMENT_HEADER + astToString(await openapiTS(SOURCE));
const isCheck = process.argv.includes("--check");
if (!isCheck) {
  writeFileSync(TARGET, written);
} else if (readFileSync(TARGET, "utf8") !== written) {
  console.error("lib/api/schema.d.ts is not what docs/reference/openapi.json says.");
  console.error("Write it anew with: cd dashboard && npm run api");
  process.exitCode = 1;
}
