import { act, fireEvent, screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { renderWithMarket, status, summary, ticker } from "@/lib/api/testing";
import { Ticker } from "./Ticker";

const NOON = Date.parse("2026-11-23T12:00:00Z");

describe("Ticker", () => {
  let now = NOON;
  beforeEach(() => {
    now = NOON;
  });
  afterEach(() => history.replaceState(null, "", "/"));

  function row(symbol: string): HTMLElement {
    const link = screen.getByRole("link", { name: symbol });
    return link.closest("tr") as HTMLElement;
  }

  async function shown() {
    const page = renderWithMarket(<Ticker />, () => now);
    const prices = {
      AAPL: summary(101, NOON),
      MSFT: summary(98, NOON),
      T: summary(20, NOON),
    };
    await page.say(status(NOON), ticker(prices, NOON, { snapshot: true }));
    return page;
  }

  it("shows last, change, both sides and the spread of each symbol", async () => {
    await shown();
    const cells = within(row("AAPL")).getAllByRole("cell");
    const texts = cells.map((cell) => cell.textContent);
    expect(texts.slice(0, 7)).toEqual([
      "AAPL",
      "101.00",
      "+1.00%",
      "100.99",
      "101.01",
      "0.02",
      "2.0",
    ]);
  });

  it("says up and down by word as well as by colour", async () => {
    const { say } = await shown();
    await say(ticker({ AAPL: summary(102, NOON), MSFT: summary(97, NOON) }, NOON));
    expect(row("AAPL").textContent).toContain("▲up");
    expect(row("MSFT").textContent).toContain("▼down");
  });

  it("says that a value is stale, without any event", async () => {
    await shown();
    expect(row("AAPL").textContent).toContain("0.0 s");
    now = NOON + 16_000;
    await waitFor(() => expect(row("AAPL").textContent).toContain("stale 16 s"));
  });

  it("expects nothing of a closed market", async () => {
    const { say } = await shown();
    const market = { state: "closed" as const, session_start: null, session_end: null };
    await say(status(NOON, { market }));
    now = NOON + 3_600_000;
    await waitFor(() => expect(row("AAPL").textContent).toContain("60 min"));
    expect(row("AAPL").textContent).not.toContain("stale");
  });

  it("puts the chosen symbol into the address", async () => {
    await shown();
    await userEvent.click(row("MSFT"));
    expect(location.search).toBe("?symbol=MSFT");
    expect(screen.getByRole("link", { current: true }).textContent).toBe("MSFT");
    act(() => {
      history.back();
    });
    await waitFor(() =>
      expect(screen.getByRole("link", { current: true }).textContent).toBe("AAPL"),
    );
  });

  it("walks through the symbols by arrow keys", async () => {
    await shown();
    screen.getByRole("link", { name: "AAPL" }).focus();
    await userEvent.keyboard("{ArrowDown}{ArrowDown}{ArrowUp}");
    expect(document.activeElement?.textContent).toBe("MSFT");
    await userEvent.keyboard("{End}");
    expect(location.search).toBe("?symbol=T");
  });

  it("leaves a click for a new tab to the browser", async () => {
    await shown();
    let isTaken = true;
    const last = (event: Event) => {
      isTaken = event.defaultPrevented;
      event.preventDefault(); // jsdom cannot navigate
    };
    window.addEventListener("click", last, { once: true });
    fireEvent.click(screen.getByRole("link", { name: "MSFT" }), { ctrlKey: true });
    expect(isTaken).toBe(false);
    expect(location.search).toBe("");
  });

  it("holds the rows' place while it connects, then says why there are none", async () => {
    const { say } = renderWithMarket(<Ticker />, () => now);
    expect(screen.getAllByRole("row")).toHaveLength(25);
    await say(status(NOON, { kinesis: { state: "starting", behind_ms: null } }));
    expect(screen.getByRole("status").textContent).toContain("No trades yet");
  });
});
