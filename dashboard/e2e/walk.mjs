// A real browser walks the dashboard of a running pipeline.
//
//   npm run e2e -- [--url http://127.0.0.1:8000] [--shots folder] [--out file.json]
//                  [--memory-minutes 10] [--warm-up-minutes 10]
//                  [--restart 'command that kills and starts the API']
//
// Without --url it takes the API that runs in this checkout. The last line of its output is one JSON object; it fails when a bound is broken.
import { spawn } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { DESKTOP, findChromium, gathered, launch, open } from "./browser.mjs";
import { axeViolations, hasHorizontalScroll, memory } from "./measures.mjs";
import { STEPS, survivesRestart } from "./steps.mjs";

const CLS_MAX = 0.1;
const MEMORY_SLOPE_MAX = 1; // MB per 10 minutes
const PHONE = { width: 390, height: 844 };
const NARROWEST = { width: 360, height: 740 };
const THEMES = ["dark", "light"];

const { values: options } = parseArgs({
  options: {
    url: { type: "string" },
    shots: { type: "string" },
    out: { type: "string" },
    chromium: { type: "string" },
    restart: { type: "string" },
    "memory-minutes": { type: "string", default: "0" },
    "warm-up-minutes": { type: "string", default: "10" },
  },
});

const result = {
  passed: true,
  failures: [],
  steps: {},
  cls: 0,
  axe: {},
  console_errors: [],
  csp_violations: [],
  screenshots: [],
};

function fail(what) {
  result.passed = false;
  result.failures.push(what);
}

async function step(name, action) {
  const start = performance.now();
  try {
    await action();
    result.steps[name] = Number(((performance.now() - start) / 1_000).toFixed(2));
  } catch (error) {
    result.steps[name] = null;
    fail(`${name}: ${String(error.message).split("\n")[0]}`);
  }
  console.log(`${result.steps[name] === null ? "FAIL" : "  ok"}  ${name}`);
}

/** Take what the page has gathered about itself, before axe adds its own. */
async function gather(visit) {
  const { cls, csp, errors } = await gathered(visit);
  result.cls = Math.max(result.cls, cls);
  result.csp_violations.push(...csp);
  result.console_errors.push(...errors);
}

async function screenshot(page, name, fullPage = false) {
  if (!options.shots) return;
  const path = join(fromCaller(options.shots), `dashboard-${name}.png`);
  await page.screenshot({ path, fullPage });
  result.screenshots.push(path);
}

async function look(browser, size, name, theme) {
  const visit = await open(browser, url, { ...size, theme });
  await step(`${name} ${theme}: prices and candles`, async () => {
    await STEPS["prices appear"](visit.page);
    await STEPS["candles appear"](visit.page);
    await STEPS["statistics appear"](visit.page);
  });
  await step(`${name} ${theme}: no horizontal scroll`, async () => {
    if (await hasHorizontalScroll(visit.page)) throw new Error("the page is too wide");
  });
  await screenshot(visit.page, `${name}-${theme}`, size.width < 500);
  await gather(visit);
  await step(`${name} ${theme}: axe`, async () => {
    const violations = await axeViolations(visit.page);
    result.axe[`${name}-${theme}`] = violations;
    if (violations.length) throw new Error(violations.join("; "));
  });
  await visit.close();
}

async function switchTheme(page) {
  const before = await page.evaluate(() => document.documentElement.className);
  await page.getByRole("button", { name: /dark and light/ }).click();
  await page.waitForFunction(
    (old) => document.documentElement.className !== old,
    before,
  );
}

/** Run the command; the page is watched meanwhile. */
function run(command) {
  return new Promise((done, reject) => {
    const child = spawn(command, {
      shell: true,
      stdio: ["ignore", "inherit", "inherit"],
    });
    child.on("exit", (code) =>
      code === 0 ? done() : reject(new Error(`${command} ended with ${code}`)),
    );
  });
}

async function walk(browser) {
  const visit = await open(browser, url, { ...DESKTOP, theme: "dark" });
  for (const [name, action] of Object.entries(STEPS)) {
    await step(name, () => action(visit.page));
  }
  await step("the theme switches", () => switchTheme(visit.page));
  await gather(visit);
  const minutes = Number(options["memory-minutes"]);
  if (minutes > 0) {
    const warmUpMinutes = Number(options["warm-up-minutes"]);
    result.memory = await memory(visit.page, { warmUpMinutes, minutes });
    if (result.memory.mb_per_10_minutes > MEMORY_SLOPE_MAX) fail("memory grows");
  }
  if (options.restart) {
    await step("the API restarts, the page resumes", () =>
      survivesRestart(visit.page, () => run(options.restart)),
    );
  }
  await visit.close();
}

/** npm changes into the dashboard; a path is meant from where it was called. */
function fromCaller(path) {
  return resolve(process.env.INIT_CWD ?? ".", path);
}

function findApi() {
  const house = join(import.meta.dirname, "..", "..");
  const file = join(process.env.TICKHOUSE_VAR ?? join(house, "var"), "run", "api.json");
  try {
    return JSON.parse(readFileSync(file, "utf8")).url;
  } catch {
    throw new Error(
      `no API runs here (${file}): start it with make run, or give --url`,
    );
  }
}

const url = options.url ?? findApi();
if (options.shots) mkdirSync(fromCaller(options.shots), { recursive: true });
const browser = await launch(options.chromium ?? findChromium());
try {
  await walk(browser);
  for (const theme of THEMES) {
    await look(browser, DESKTOP, "desktop", theme);
    await look(browser, PHONE, "phone", theme);
    await look(browser, NARROWEST, "narrow", theme);
  }
} finally {
  await browser.close();
}
if (result.cls > CLS_MAX) fail(`layout shift ${result.cls} > ${CLS_MAX}`);
if (result.console_errors.length) fail("errors in the console");
if (result.csp_violations.length) fail("Content-Security-Policy violated");
const report = JSON.stringify(result);
if (options.out) writeFileSync(fromCaller(options.out), `${report}\n`);
console.log(report);
process.exitCode = result.passed ? 0 : 1;
