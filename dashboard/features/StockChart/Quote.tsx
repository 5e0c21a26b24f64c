"use client";

import { clsx } from "clsx";
import type { ReactNode } from "react";
import { Age } from "@/components/age";
import { directionOf, Glyph, toneOf } from "@/components/change";
import { Skeleton } from "@/components/ui/skeleton";
import { useCell } from "@/lib/api/cell";
import type { Ticker } from "@/lib/api/market";
import { useMarket } from "@/lib/api/provider";
import {
  ABSENT,
  formatBps,
  formatChange,
  formatCount,
  formatPercent,
  formatPrice,
  formatSpread,
} from "@/lib/format/number";
import { QUOTE_STALE_S } from "@/lib/freshness";
import { spreadOf } from "@/lib/quote";

const REFERENCE = {
  previous_close: "since the previous close",
  session_open: "since the session opened",
};

/** The selected symbol's newest trade and quote, large. */
export function Quote({ symbol }: { symbol: string | null }) {
  const market = useMarket();
  const ticker = useCell(market.ticker(symbol ?? ""));
  const symbols = useCell(market.symbols);
  const isUnknown = symbol !== null && symbols.length > 0 && !symbols.includes(symbol);
  return (
    <div className="flex h-24 shrink-0 flex-wrap content-center items-center gap-x-6 gap-y-2 border-b border-line px-3 sm:h-14">
      {isUnknown && (
        <p className="text-sm text-muted">
          {symbol} is not followed. Choose one of the list.
        </p>
      )}
      {!ticker && !isUnknown && (
        <>
          <Skeleton className="h-6 w-40" />
          <Skeleton className="h-4 w-56" />
        </>
      )}
      {ticker && (
        <>
          <LastPrice ticker={ticker} />
          <Book ticker={ticker} />
        </>
      )}
    </div>
  );
}

function LastPrice({ ticker }: { ticker: Ticker }) {
  const { last, change, change_percent, reference, direction } = ticker;
  const tone = toneOf(directionOf(change));
  return (
    <div className="mr-auto flex w-full items-baseline gap-2.5 tabular-nums sm:w-auto">
      <span
        className="text-2xl font-semibold tracking-tight text-ink"
        data-testid="price"
      >
        {formatPrice(last?.price)}
        <span className="ml-1 inline-block w-3 align-middle text-sm">
          <Glyph direction={direction} />
        </span>
      </span>
      <span
        className={clsx("text-sm font-medium whitespace-nowrap", tone)}
        title={reference ? REFERENCE[reference] : undefined}
      >
        {formatChange(change)} ({formatPercent(change_percent)})
        {reference && <span className="sr-only"> {REFERENCE[reference]}</span>}
      </span>
      <Age
        bornMs={ticker.bornMs}
        staleAfterS={QUOTE_STALE_S}
        className="ml-auto text-xs sm:ml-0"
      />
    </div>
  );
}

function Book({ ticker: { quote } }: { ticker: Ticker }) {
  const spread = spreadOf(quote);
  return (
    <dl className="flex gap-5 text-xs tabular-nums sm:gap-6">
      <Side name="Bid" price={quote?.bid_price} size={quote?.bid_size} />
      <Side name="Ask" price={quote?.ask_price} size={quote?.ask_size} />
      <Pair name="Spread">
        {spread ? (
          <>
            ${formatSpread(spread.usd)}{" "}
            <span className="text-muted">{formatBps(spread.bps)} bps</span>
          </>
        ) : (
          ABSENT
        )}
      </Pair>
    </dl>
  );
}

interface SideProps {
  name: string;
  price: number | undefined;
  size: number | undefined;
}

/** One side of the book; a price of 0 means that nobody quotes it. */
function Side({ name, price, size }: SideProps) {
  return (
    <Pair name={name}>
      {price ? (
        <>
          {formatPrice(price)} <span className="text-muted">× {formatCount(size)}</span>
        </>
      ) : (
        ABSENT
      )}
    </Pair>
  );
}

function Pair({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div>
      <dt className="text-muted">{name}</dt>
      <dd className="min-w-20 font-medium whitespace-nowrap text-ink">{children}</dd>
    </div>
  );
}
