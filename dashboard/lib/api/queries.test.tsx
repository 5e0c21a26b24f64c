import { QueryClientProvider } from "@tanstack/react-query";
import { renderHook, waitFor } from "@testing-library/react";
import { HttpResponse, http } from "msw";
import { setupServer } from "msw/node";
import type { ReactNode } from "react";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { ApiError } from "./client";
import { createQueryClient, useBars } from "./queries";

const server = setupServer();
beforeAll(() => server.listen({ onUnhandledRequest: "error" }));
afterEach(() => server.resetHandlers());
afterAll(() => server.close());

const NO_BARS = {
  items: [],
  next_cursor: null,
  table_version: "3",
  newest_event_time: null,
  hint: "silver.bars has no rows yet",
};

function bars() {
  const queries = createQueryClient();
  const wrapper = ({ children }: { children: ReactNode }) => (
    <QueryClientProvider client={queries}>{children}</QueryClientProvider>
  );
  return renderHook(() => useBars("AAPL", "5m"), { wrapper }).result;
}

describe("useBars", () => {
  it("asks for the symbol and the length", async () => {
    let search = "";
    server.use(
      http.get("*/api/v1/bars", ({ request }) => {
        search = new URL(request.url).search;
        return HttpResponse.json(NO_BARS);
      }),
    );
    const result = bars();
    await waitFor(() => expect(result.current.data?.hint).toContain("no rows yet"));
    expect(search).toBe("?symbol=AAPL&bar_length=5m&limit=500");
  });

  it("shows a 4xx at once, with what to do", async () => {
    const problem = { title: "Bad symbol", status: 422, detail: "?", hint: "Use AAPL" };
    server.use(
      http.get("*/api/v1/bars", () => HttpResponse.json(problem, { status: 422 })),
    );
    const result = bars();
    await waitFor(() => expect(result.current.isError).toBe(true));
    expect(result.current.error).toBeInstanceOf(ApiError);
    expect((result.current.error as ApiError).hint).toBe("Use AAPL");
  });

  it("tries again while the API starts", async () => {
    let asked = 0;
    server.use(
      http.get("*/api/v1/bars", () => {
        asked += 1;
        return asked === 1
          ? HttpResponse.json({ title: "Starting" }, { status: 503 })
          : HttpResponse.json(NO_BARS);
      }),
    );
    const result = bars();
    await waitFor(() => expect(result.current.isSuccess).toBe(true), {
      timeout: 3_000,
    });
    expect(asked).toBe(2);
  });
});
