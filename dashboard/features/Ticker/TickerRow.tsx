"use client";

import { clsx } from "clsx";
import { type MouseEvent, memo } from "react";
import { Age } from "@/components/age";
import { directionOf, Glyph, toneOf } from "@/components/change";
import { Cell } from "@/components/ui/table";
import { useCell } from "@/lib/api/cell";
import type { Ticker } from "@/lib/api/market";
import { useMarket } from "@/lib/api/provider";
import {
  formatBps,
  formatPercent,
  formatPrice,
  formatSpread,
} from "@/lib/format/number";
import { QUOTE_STALE_S } from "@/lib/freshness";
import { spreadOf } from "@/lib/quote";

interface TickerRowProps {
  symbol: string;
  isSelected: boolean;
  onSelect: (symbol: string) => void;
}

export const TickerRow = memo(function TickerRow(props: TickerRowProps) {
  const { symbol, isSelected, onSelect } = props;
  const ticker = useCell(useMarket().ticker(symbol));
  const quote = ticker?.quote;
  const spread = spreadOf(quote);
  function choose(event: MouseEvent) {
    if (event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    onSelect(symbol);
  }
  return (
    <tr
      data-symbol={symbol}
      className={clsx(
        "group cursor-pointer",
        isSelected ? "bg-selected" : "hover:bg-raised",
      )}
      onClick={choose}
    >
      <Cell align="left" className={clsx(isSelected && "marked")}>
        <SymbolLink symbol={symbol} isSelected={isSelected} />
      </Cell>
      <Cell
        className="font-medium text-ink group-has-data-stale:text-muted"
        data-testid="last"
      >
        <Price ticker={ticker} />
      </Cell>
      <Cell className={toneOf(directionOf(ticker?.change))}>
        {formatPercent(ticker?.change_percent)}
      </Cell>
      <Cell className="hidden group-has-data-stale:text-muted @[31rem]:table-cell">
        {formatPrice(quote?.bid_price || null)}
      </Cell>
      <Cell className="hidden group-has-data-stale:text-muted @[31rem]:table-cell">
        {formatPrice(quote?.ask_price || null)}
      </Cell>
      <Cell className="hidden text-muted @[34.5rem]:table-cell">
        {formatSpread(spread?.usd)}
      </Cell>
      <Cell className="text-muted">{formatBps(spread?.bps)}</Cell>
      <Cell className="text-xs">
        <Age bornMs={ticker?.bornMs ?? null} staleAfterS={QUOTE_STALE_S} />
      </Cell>
    </tr>
  );
});

/** The price, lit up for a moment when it moves. */
function Price({ ticker }: { ticker: Ticker | null }) {
  const price = ticker?.last?.price;
  const direction = ticker?.direction ?? null;
  return (
    <span key={price} className={clsx("rounded px-0.5", direction && FLASH[direction])}>
      {formatPrice(price)}
      <Glyph direction={direction} />
    </span>
  );
}

const FLASH = { up: "flash-up", down: "flash-down" };

interface SymbolLinkProps {
  symbol: string;
  isSelected: boolean;
}

/** A link, so that it opens in a new tab too; its row handles the plain click. */
function SymbolLink({ symbol, isSelected }: SymbolLinkProps) {
  return (
    <a
      href={`?symbol=${encodeURIComponent(symbol)}`}
      aria-current={isSelected || undefined}
      className="font-semibold text-ink"
    >
      {symbol}
    </a>
  );
}
