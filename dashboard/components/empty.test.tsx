import { screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { expect, it, vi } from "vitest";
import { ApiError } from "@/lib/api/client";
import { renderWithMarket, status } from "@/lib/api/testing";
import { Empty } from "./empty";

it("says what the API says of an empty answer", async () => {
  const { say } = renderWithMarket(<Empty what="bars" hint="silver.bars is empty" />);
  await say(status(0));
  expect(screen.getByText("No bars yet")).toBeTruthy();
  expect(screen.getByText("silver.bars is empty")).toBeTruthy();
});

it("says what failed, what to do, and tries again", async () => {
  const retry = vi.fn();
  const error = new ApiError(422, { detail: "No such symbol", hint: "Try AAPL" });
  const { say } = renderWithMarket(<Empty what="bars" error={error} retry={retry} />);
  await say(status(0));
  expect(screen.getByText("No such symbol")).toBeTruthy();
  expect(screen.getByText("Try AAPL")).toBeTruthy();
  await userEvent.click(screen.getByRole("button", { name: "Try again" }));
  expect(retry).toHaveBeenCalledOnce();
});

it("blames the connection rather than what failed by it", async () => {
  const error = new TypeError("Failed to fetch");
  const { market, say } = renderWithMarket(<Empty what="bars" error={error} />);
  await say(status(0));
  market.enter("retrying");
  expect(await screen.findByText("No connection to the API")).toBeTruthy();
});
