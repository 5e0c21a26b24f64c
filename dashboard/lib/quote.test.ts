// @vitest-environment node
import { describe, expect, it } from "vitest";
import { spreadOf } from "./quote";

const event_time = "2026-11-23T12:00:00Z";

function quote(bid_price: number, ask_price: number) {
  return { bid_price, ask_price, bid_size: 1, ask_size: 1, event_time };
}

describe("spreadOf", () => {
  it("is in dollars and in basis points of the mid", () => {
    const spread = spreadOf(quote(99.5, 100.5));
    expect(spread?.usd).toBeCloseTo(1);
    expect(spread?.bps).toBeCloseTo(100);
  });

  it("is absent unless both sides are quoted", () => {
    expect(spreadOf(quote(0, 100))).toBeNull();
    expect(spreadOf(quote(100, 0))).toBeNull();
    expect(spreadOf(null)).toBeNull();
  });

  it("is negative when the book is crossed", () =>
    expect(spreadOf(quote(100.1, 100))?.usd).toBeLessThan(0));
});
