import { screen } from "@testing-library/react";
import { describe, expect, it } from "vitest";
import { renderWithMarket, status } from "@/lib/api/testing";
import { ConnectionState } from "./ConnectionState";
import { Latency } from "./Latency";
import { MarketClock } from "./MarketClock";

const OPENING = Date.parse("2026-11-23T14:30:00Z");
const NO_EVENT_CLOCK = { event_p50_s: null, event_p95_s: null };

describe("MarketClock", () => {
  it("shows the market's time in both zones and what market it is", async () => {
    const { say } = renderWithMarket(<MarketClock />);
    await say(status(OPENING));
    expect(screen.getByText("Simulated")).toBeTruthy();
    expect(screen.getByText("14:30:00")).toBeTruthy();
    expect(screen.getByText("09:30 ET")).toBeTruthy();
  });

  it("shows the recording's clock and day in a replay", async () => {
    const { say } = renderWithMarket(<MarketClock />);
    const market = { state: "replay" as const, session_start: null, session_end: null };
    await say(status(OPENING, { market, market_time: "2013-10-07T14:00:00Z" }));
    expect(screen.getByText("14:00:00")).toBeTruthy();
    expect(screen.getByText("07 Oct")).toBeTruthy();
  });
});

describe("Latency", () => {
  it("times a tick from its event where that clock is ours", async () => {
    const { say, container } = renderWithMarket(<Latency />);
    const tail = { tail_p50_s: 0.31, tail_p95_s: 0.62 };
    await say(status(OPENING, { latency: { ...tail, ...NO_EVENT_CLOCK } }));
    expect(container.textContent).toContain("0.31 s");
    await say(
      status(OPENING, { latency: { ...tail, event_p50_s: 0.4, event_p95_s: 0.7 } }),
    );
    expect(container.textContent).toContain("0.40 s");
    expect(container.textContent).not.toContain("late)");
  });

  it("says that it is late, in words too", async () => {
    const { say, container } = renderWithMarket(<Latency />);
    const latency = { tail_p50_s: 0.9, tail_p95_s: 1.4, ...NO_EVENT_CLOCK };
    await say(status(OPENING, { latency }));
    expect(container.textContent).toContain("1.40 s (late)");
  });
});

describe("ConnectionState", () => {
  it("follows the connection", async () => {
    const { say, market } = renderWithMarket(<ConnectionState />);
    expect(screen.getByRole("status").textContent).toBe("Connecting");
    await say(status(OPENING));
    expect(screen.getByRole("status").textContent).toBe("Live");
    market.enter("retrying");
    expect((await screen.findByText("Reconnecting")).dataset.phase).toBe("retrying");
  });
});
