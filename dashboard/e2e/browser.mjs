// A system Chromium that talks to nobody but the page under test.
import { execSync } from "node:child_process";
import { chromium } from "playwright-core";

export const DESKTOP = { width: 1440, height: 900 };

const FLAGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

export function launch(executablePath, options = {}) {
  return chromium.launch({ executablePath, args: FLAGS, ...options });
}

export function findChromium() {
  return execSync("command -v chromium || command -v google-chrome", {
    encoding: "utf8",
  }).trim();
}

// Runs in the page before its own code does.
function observe() {
  window.seen = { cls: 0, csp: [] };
  new PerformanceObserver((list) => {
    for (const shift of list.getEntries()) {
      if (!shift.hadRecentInput) window.seen.cls += shift.value;
    }
  }).observe({ type: "layout-shift", buffered: true });
  document.addEventListener("securitypolicyviolation", (event) => {
    window.seen.csp.push(`${event.violatedDirective} ${event.blockedURI}`);
  });
}

/** Open the page at a size and in a theme; what goes wrong in it is gathered. */
export async function open(browser, url, { width, height, theme }) {
  const context = await browser.newContext({
    viewport: { width, height },
    colorScheme: theme,
    deviceScaleFactor: width < 500 ? 2 : 1,
  });
  const page = await context.newPage();
  const errors = [];
  page.on("pageerror", (error) => errors.push(error.message));
  page.on("console", (line) => {
    if (line.type() === "error") errors.push(line.text());
  });
  await page.addInitScript(observe);
  await page.goto(url, { waitUntil: "domcontentloaded" });
  return { page, errors, close: () => context.close() };
}

/** What the page has gathered about itself, and what went wrong in it. */
export async function gathered({ page, errors }) {
  const { cls, csp } = await page.evaluate(() => window.seen);
  return { cls: Number(cls.toFixed(4)), csp, errors };
}
