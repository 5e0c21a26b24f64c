// What a visitor does and sees. Each step waits for what it expects, up to a deadline.
import assert from "node:assert/strict";

const SOON_MS = 20_000;
/** From the start of a pipeline to its first bars and statistics. */
const FIRST_MS = 90_000;

const lastPrices = () =>
  [...document.querySelectorAll('[data-testid="last"]')].map(
    (cell) => cell.textContent,
  );

/** Wait until the function, run in the page, gives something truthy. */
function until(page, condition, argument, timeout = SOON_MS) {
  return page.waitForFunction(condition, argument, { timeout, polling: 100 });
}

async function text(page, selector) {
  return (await page.locator(selector).first().textContent()) ?? "";
}

/** Click what may not be there yet, or vanish meanwhile: the next frame decides. */
async function isClicked(button) {
  try {
    await button.click({ timeout: 1_000 });
    return true;
  } catch {
    return false;
  }
}

const STATS = 'section[aria-label="Statistics"]';

export const STEPS = {
  async "prices appear"(page) {
    await until(
      page,
      () =>
        /\d\.\d\d/.test(document.querySelector('[data-testid="last"]')?.textContent),
      null,
      FIRST_MS,
    );
  },

  async "prices move"(page) {
    const before = await page.evaluate(lastPrices);
    await until(
      page,
      (old) =>
        [...document.querySelectorAll('[data-testid="last"]')].some(
          (cell, row) => cell.textContent !== old[row],
        ),
      before,
    );
  },

  async "candles appear"(page) {
    await page.locator("figure canvas").first().waitFor({ timeout: FIRST_MS });
    await until(
      page,
      () => document.querySelectorAll("figure table tbody tr").length > 0,
      null,
      FIRST_MS,
    );
  },

  async "the forming candle grows"(page) {
    const before = await text(page, "figure dl");
    await until(
      page,
      (old) => document.querySelector("figure dl")?.textContent !== old,
      before,
    );
  },

  async "statistics appear"(page) {
    await page
      .locator(`${STATS} tbody tr [data-age-s]`)
      .first()
      .waitFor({ timeout: FIRST_MS });
  },

  async "statistics follow the table"(page) {
    // Not the last column: an age changes whether or not the table does.
    const cells = `${STATS} tbody td:not(:last-child)`;
    const before = await page.locator(cells).allTextContents();
    await until(
      page,
      ([selector, old]) =>
        [...document.querySelectorAll(selector)].some(
          (cell, place) => cell.textContent !== old[place],
        ),
      [cells, before],
    );
  },

  async "every row shows its age"(page) {
    const missing = await page.evaluate(
      () =>
        [...document.querySelectorAll("tr[data-symbol]")].filter(
          (row) => !row.querySelector("[data-age-s]"),
        ).length,
    );
    assert.equal(missing, 0, `${missing} rows without an age`);
  },

  async "latency is shown"(page) {
    await until(page, () =>
      /p50\D*\d+\.\d\d s/.test(document.querySelector("header")?.textContent ?? ""),
    );
  },

  async "the connection is live"(page) {
    await page.locator('[data-phase="live"]').waitFor({ timeout: SOON_MS });
  },

  async "a symbol is chosen by keyboard"(page) {
    const links = page.locator("tr[data-symbol] a");
    const name = (await links.nth(1).textContent()) ?? "";
    await links.first().focus();
    await page.keyboard.press("ArrowDown");
    await until(
      page,
      (symbol) => document.querySelector("h2")?.textContent === symbol,
      name,
    );
    assert.ok(page.url().includes(`symbol=${name}`), page.url());
    await until(page, () => document.querySelector("figure dl")?.textContent);
  },

  async "Back returns to the symbol before"(page) {
    const before = await text(page, "h2");
    await page.goBack();
    await until(
      page,
      (old) => document.querySelector("h2")?.textContent !== old,
      before,
    );
  },

  async "longer candles are shown"(page) {
    await page.getByRole("radio", { name: "5m", exact: true }).check();
    await until(page, () =>
      document.querySelector("figure caption")?.textContent.includes("5m"),
    );
    await page.getByRole("radio", { name: "1m", exact: true }).check();
    await until(page, () =>
      document.querySelector("figure caption")?.textContent.includes("1m"),
    );
  },

  async "the chart's time can be the exchange's"(page) {
    await page.getByRole("radio", { name: "ET", exact: true }).check();
    await until(page, () =>
      document.querySelector("figure thead")?.textContent.includes("ET"),
    );
    await page.getByRole("radio", { name: "UTC", exact: true }).check();
  },

  async "the chart moves by keyboard, and back to the newest"(page) {
    // Until the session before is in the lake there is nowhere to go.
    const isLong = () => document.querySelectorAll("figure tbody tr").length > 10;
    await until(page, isLong, undefined, FIRST_MS);
    const newest = page.getByRole("button", { name: "Newest" });
    // The first whole answer draws the chart anew, from its newest end: press again.
    let isBack = false;
    for (let press = 0; press < 20 && !isBack; press++) {
      await page.locator('figure [role="group"]').press("ArrowLeft");
      isBack = await isClicked(newest);
    }
    assert.ok(isBack, "no way back to the newest candle");
    await newest.waitFor({ state: "detached" });
  },

  async "statistics are sorted"(page) {
    await page.getByRole("button", { name: "Volume" }).click();
    await page.locator('th[aria-sort="descending"]').waitFor();
    await page.getByRole("button", { name: "Symbol" }).click();
  },
};

/** The API is restarted under the open page: it must come back by itself, whole. */
export async function survivesRestart(page, restart) {
  const symbol = await text(page, "h2");
  const isRetrying = page
    .locator('[data-phase="retrying"]')
    .waitFor({ timeout: FIRST_MS });
  await Promise.all([isRetrying, restart()]);
  await page.locator('[data-phase="live"]').waitFor({ timeout: FIRST_MS });
  const prices = await page.evaluate(lastPrices);
  await until(
    page,
    (old) =>
      [...document.querySelectorAll('[data-testid="last"]')].some(
        (cell, row) => cell.textContent !== old[row],
      ),
    prices,
    FIRST_MS,
  );
  await until(page, hasEveryBar, symbol, FIRST_MS);
}

/** Whether the page's table has each closed minute that the API has now. */
async function hasEveryBar(symbol) {
  const answer = await fetch(`/api/v1/bars?symbol=${symbol}&limit=30`);
  if (!answer.ok) return false;
  const { items } = await answer.json();
  const shown = new Set(
    [...document.querySelectorAll("figure tbody th")].map((cell) =>
      cell.textContent.slice(-5),
    ),
  );
  const minutes = items.map(({ window_start }) => window_start.slice(11, 16));
  return minutes.length > 0 && minutes.every((minute) => shown.has(minute));
}
