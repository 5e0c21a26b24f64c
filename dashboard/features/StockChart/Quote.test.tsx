import { screen } from "@testing-library/react";
import { expect, it } from "vitest";
import { renderWithMarket, summary, ticker } from "@/lib/api/testing";
import { Quote } from "./Quote";

const NOON = Date.parse("2026-11-23T12:00:00Z");

it("shows price, change, both sides and the spread", async () => {
  const { say } = renderWithMarket(<Quote symbol="AAPL" />, () => NOON);
  await say(ticker({ AAPL: summary(101.5, NOON) }, NOON));
  expect(screen.getByTestId("price").textContent).toContain("101.50");
  expect(screen.getByText(/\+1\.50 \(\+1\.50%\)/)).toBeTruthy();
  expect(screen.getByText("since the previous close")).toBeTruthy();
  expect(screen.getByText(/2\.0 bps/)).toBeTruthy();
  expect(screen.getByText("× 300")).toBeTruthy();
});

it("says that nobody quotes a side", async () => {
  const { say } = renderWithMarket(<Quote symbol="AAPL" />, () => NOON);
  const changes = { quote: { ...summary(1, NOON).quote, bid_price: 0 } };
  await say(ticker({ AAPL: summary(101.5, NOON, changes) }, NOON));
  expect(screen.getByText("Bid").nextSibling?.textContent).toBe("–");
  expect(screen.getByText("Spread").nextSibling?.textContent).toBe("–");
});

it("says that a symbol of the address is not followed", async () => {
  const { say } = renderWithMarket(<Quote symbol="NOPE" />, () => NOON);
  await say(ticker({ AAPL: summary(101.5, NOON) }, NOON));
  expect(screen.getByText(/NOPE is not followed/)).toBeTruthy();
});
