// @vitest-environment node
import { describe, expect, it } from "vitest";
import { formatAge, formatLatency } from "./age";
import {
  formatChange,
  formatCompact,
  formatPercent,
  formatPrice,
  formatSpread,
  formatVariance,
} from "./number";
import { formatTime, toMs } from "./time";

describe("prices", () => {
  it.each([
    [1234.5, "1,234.50"],
    [0.0312, "0.0312"],
    [null, "–"],
    [undefined, "–"],
    [-2, "−2.00"],
  ])("shows %s as %s", (usd, text) => expect(formatPrice(usd)).toBe(text));

  it("shows a spread to the sub-cent only where it is one", () => {
    expect(formatSpread(210.34 - 210.32)).toBe("0.02");
    expect(formatSpread(0.0125)).toBe("0.0125");
  });

  it("tells absent from zero", () => {
    expect(formatVariance(0)).toBe("0.000000");
    expect(formatVariance(null)).toBe("–");
  });

  it.each([
    [0.5, "+0.50"],
    [-0.5, "−0.50"],
    [0, "0.00"],
    [-0.001, "0.00"],
  ])("signs a change of %s as %s", (usd, text) => expect(formatChange(usd)).toBe(text));

  it("signs a percentage", () => expect(formatPercent(-1.234)).toBe("−1.23%"));
  it("shortens a volume", () => expect(formatCompact(12_345_678)).toBe("12.3M"));
});

describe("times", () => {
  const opening = toMs("2026-11-23T14:30:00.123456Z");

  it("keeps milliseconds of microseconds", () => expect(opening % 1000).toBe(123));

  it("shifts for the exchange only when it formats", () => {
    expect(formatTime(opening, "UTC")).toBe("14:30:00");
    expect(formatTime(opening, "ET")).toBe("09:30:00");
  });

  it("knows daylight saving time", () =>
    expect(formatTime(toMs("2026-07-01T13:30:00Z"), "ET", "minute")).toBe("09:30"));

  it("starts a day at 00, not 24", () =>
    expect(formatTime(toMs("2026-11-23T00:00:00Z"), "UTC")).toBe("00:00:00"));
});

describe("ages", () => {
  it.each([
    [0.44, "0.4 s"],
    [9.96, "10 s"],
    [99, "99 s"],
    [100, "2 min"],
    [7_200, "2 h"],
    [400_000, "5 d"],
    [-3, "0.0 s"],
    [null, "–"],
  ])("says %s s as %s", (seconds, text) => expect(formatAge(seconds)).toBe(text));

  it("says a latency in hundredths", () => expect(formatLatency(0.312)).toBe("0.31 s"));
});
