import { act, screen } from "@testing-library/react";
import { expect, it } from "vitest";
import { renderWithMarket, status } from "@/lib/api/testing";
import { formatTime } from "@/lib/format/time";
import { ConnectionNotice } from "./ConnectionNotice";

it("says since when there is no connection, and goes when there is one", async () => {
  const since = Date.now() - 60_000;
  const { market, say } = renderWithMarket(<ConnectionNotice />, () => since);
  await say(status(since));
  expect(screen.getByRole("alert").textContent).toBe("");
  act(() => market.enter("retrying"));
  const notice = await screen.findByText(/No connection to the API since/);
  expect(notice.textContent).toContain(formatTime(since, "UTC"));
  expect(notice.parentElement?.textContent).toContain("make run");
  await say(status(since));
  expect(screen.getByRole("alert").textContent).toBe("");
});
