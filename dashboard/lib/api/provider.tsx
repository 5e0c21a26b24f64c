"use client";

import { QueryClientProvider } from "@tanstack/react-query";
import { createContext, type ReactNode, use, useEffect, useState } from "react";
import { Market } from "./market";
import { createQueryClient } from "./queries";
import { Stream } from "./stream";

const MarketContext = createContext<Market | null>(null);

/** Holds the page's one stream and the snapshots that belong to it. */
export function ApiProvider({ children }: { children: ReactNode }) {
  const [queries] = useState(createQueryClient);
  const [market] = useState(() => new Market());

  useEffect(() => {
    const stream = new Stream("/api/v1/stream", {
      onEvent: (event) => market.apply(event),
      onPhase: (phase) => market.enter(phase),
      onGap: () => {
        market.forgetUnfinished();
        void queries.invalidateQueries();
      },
    });
    stream.start();
    return () => stream.stop();
  }, [market, queries]);

  return (
    <QueryClientProvider client={queries}>
      <MarketContext value={market}>{children}</MarketContext>
    </QueryClientProvider>
  );
}

export { MarketContext };

export function useMarket(): Market {
  const market = use(MarketContext);
  if (!market) throw new Error("useMarket outside ApiProvider");
  return market;
}
