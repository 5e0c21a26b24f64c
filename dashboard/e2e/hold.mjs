// Holds the main page open, as a person who looks on, and says what went wrong in it.
//
//   node e2e/hold.mjs --api var/run/api.json --out page.json
//
// Waits for the API's state file, opens the page, and at SIGTERM writes one JSON object.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { parseArgs } from "node:util";
import { DESKTOP, findChromium, gathered, launch, open } from "./browser.mjs";

const LOOK_EVERY_MS = 200;

const { values: options } = parseArgs({
  options: { api: { type: "string" }, out: { type: "string" } },
});
const stopped = new AbortController();
process.on("SIGTERM", () => stopped.abort());

async function untilTrue(condition) {
  while (!stopped.signal.aborted && !(await condition())) await pause(LOOK_EVERY_MS);
}

/** Where the API answers; undefined before it does. */
async function address() {
  if (!existsSync(options.api)) return undefined;
  try {
    const { url } = JSON.parse(readFileSync(options.api, "utf8"));
    return (await fetch(`${url}/health`)).ok ? url : undefined;
  } catch {
    return undefined; // half written, or not listening yet
  }
}

let url;
await untilTrue(async () => {
  url = await address();
  return url !== undefined;
});
// SIGTERM is ours: the page is asked before its browser ends.
const browser = await launch(findChromium(), { handleSIGTERM: false });
try {
  const visit = await open(browser, url, { ...DESKTOP, theme: "dark" });
  await untilTrue(() => false);
  const symbols = await visit.page.locator('[data-testid="last"]').count();
  const { cls, csp, errors } = await gathered(visit);
  const seen = { symbols, cls, csp_violations: csp, console_errors: errors };
  writeFileSync(options.out, `${JSON.stringify(seen)}\n`);
} finally {
  await browser.close();
}
