import { keepPreviousData, QueryClient, useQuery } from "@tanstack/react-query";
import { ApiError, api, body } from "./client";

export const BAR_LENGTHS = ["1m", "5m", "15m", "1h"] as const;
export type BarLength = (typeof BAR_LENGTHS)[number];

/** Bars that a chart fetches: a session of minutes is 390. */
const BARS_MAX = 500;
const WINDOWS_MAX = 30;
// Late trades and the feed's own corrections revise bars that are closed. An answer
// that has not changed is a 304 by its ETag.
const REVISED_EVERY_MS = 15_000;

/** A 4xx is our mistake and stays one; everything else may pass. */
function shouldRetry(failures: number, error: Error): boolean {
  const ours = error instanceof ApiError && error.status < 500;
  return !ours && failures < 5;
}

export function createQueryClient(): QueryClient {
  return new QueryClient({
    defaultOptions: {
      queries: {
        retry: shouldRetry,
        retryDelay: (attempt) => Math.min(1_000 * 2 ** attempt, 8_000),
        // The server is on this machine as a rule: "offline" says nothing about it.
        networkMode: "always",
        gcTime: 60_000,
        refetchInterval: REVISED_EVERY_MS,
      },
    },
  });
}

/** The newest bars of a symbol, oldest first; without any, a hint that says why. */
export function useBars(symbol: string, barLength: BarLength, enabled = true) {
  return useQuery({
    queryKey: ["bars", symbol, barLength],
    enabled,
    queryFn: async ({ signal }) => {
      const query = { symbol, bar_length: barLength, limit: BARS_MAX };
      return body(await api.GET("/api/v1/bars", { params: { query }, signal }));
    },
  });
}

/** The newest statistics windows of a symbol, newest first; else a hint. */
export function useStatsWindows(symbol: string, enabled: boolean) {
  return useQuery({
    queryKey: ["stats", symbol],
    enabled,
    placeholderData: keepPreviousData,
    queryFn: async ({ signal }) => {
      const query = { symbol, limit: WINDOWS_MAX };
      return body(await api.GET("/api/v1/stats", { params: { query }, signal }));
    },
  });
}
