import { screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { HttpResponse, http } from "msw";
import { setupServer } from "msw/node";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { Stats, StreamEvent } from "@/lib/api/events";
import { renderWithMarket, rfc3339, stats, summary, ticker } from "@/lib/api/testing";
import { sorted, withNewest } from "./columns";
import { RealtimeStats } from "./RealtimeStats";

const NOON = Date.parse("2026-11-23T14:30:21Z");
const server = setupServer();
beforeAll(() => server.listen({ onUnhandledRequest: "error" }));
afterEach(() => server.resetHandlers());
afterAll(() => server.close());

function rows(...some: Stats[]): StreamEvent {
  const data = { sent_time: rfc3339(NOON), snapshot: true, table_version: "12" };
  return { topic: "stats", data: { ...data, rows: some } };
}

function column(position: number): (string | null)[] {
  const [, ...body] = screen.getAllByRole("row");
  return body.map((row) => {
    const cell = within(row).getAllByRole("cell")[position];
    return cell?.textContent ?? null;
  });
}

describe("sorted", () => {
  const one = stats("A", { price_variance: 2 });
  const two = stats("B", { price_variance: 1 });
  const none = stats("C", { price_variance: null });

  it.each([
    [true, ["A", "B", "C"]],
    [false, ["B", "A", "C"]],
  ])("puts absent values last, descending %s", (isDescending, order) => {
    const shown = sorted([none, one, two], { key: "price_variance", isDescending });
    expect(shown.map(({ symbol }) => symbol)).toEqual(order);
  });
});

describe("withNewest", () => {
  it("has each window once, the streamed one newer", () => {
    const before = stats("A", { window_start: "2026-11-23T14:29:00Z" });
    const merged = withNewest([stats("A"), before], stats("A", { trade_count: 9 }));
    expect(merged.map(({ trade_count }) => trade_count)).toEqual([9, 3]);
  });
});

describe("RealtimeStats", () => {
  it("shows every statistic with its age and the table's version", async () => {
    const { say } = renderWithMarket(<RealtimeStats />, () => NOON);
    await say(rows(stats("AAPL", { price_variance: 0.0025, price_stddev: 0.05 })));
    const [, row] = screen.getAllByRole("row");
    const texts = within(row as HTMLElement)
      .getAllByRole("cell")
      .map((cell) => cell.textContent);
    expect(texts).toEqual([
      "AAPL",
      "14:30forming",
      "3",
      "600",
      "99.00",
      "101.00",
      "100.0000",
      "0.002500",
      "0.0500",
      "1.0 s",
    ]);
    expect(screen.getByText("version 12")).toBeTruthy();
  });

  it("tells the variance of one trade from none", async () => {
    const { say } = renderWithMarket(<RealtimeStats />, () => NOON);
    await say(rows(stats("AAPL", { price_variance: null, price_stddev: null })));
    expect(column(7)).toEqual(["–"]);
  });

  it("sorts by a column, and back", async () => {
    const { say } = renderWithMarket(<RealtimeStats />, () => NOON);
    await say(
      rows(stats("A", { volume: 5 }), stats("B", { volume: 1_000 }), stats("C")),
    );
    await userEvent.click(screen.getByRole("button", { name: "Volume" }));
    expect(column(3)).toEqual(["1,000", "600", "5"]);
    expect(
      screen.getByRole("columnheader", { name: "Volume" }).getAttribute("aria-sort"),
    ).toBe("descending");
    await userEvent.click(screen.getByRole("button", { name: "Volume" }));
    expect(column(3)).toEqual(["5", "600", "1,000"]);
  });

  it("shows one symbol's windows, with the streamed one on top", async () => {
    const items = [
      stats("AAPL", { trade_count: 2 }),
      stats("AAPL", { window_start: "2026-11-23T14:29:00Z", is_final: true }),
    ];
    const page = {
      items,
      next_cursor: null,
      table_version: "11",
      newest_event_time: null,
    };
    server.use(
      http.get("*/api/v1/stats", () => HttpResponse.json({ ...page, hint: null })),
    );
    const { say } = renderWithMarket(<RealtimeStats />, () => NOON);
    await say(
      ticker({ AAPL: summary(100, NOON) }, NOON),
      rows(stats("AAPL", { trade_count: 9 })),
    );
    await userEvent.click(screen.getByRole("radio", { name: "AAPL by minute" }));
    await waitFor(() => expect(column(1)).toEqual(["14:30forming", "14:29"]));
    expect(column(2)).toEqual(["9", "3"]);
  });
});
