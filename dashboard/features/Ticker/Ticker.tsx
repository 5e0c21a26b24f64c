"use client";

import type { KeyboardEvent } from "react";
import { Empty } from "@/components/empty";
import { Panel } from "@/components/ui/panel";
import { HeadCell, Table, TableScroll } from "@/components/ui/table";
import { useCell } from "@/lib/api/cell";
import { useMarket } from "@/lib/api/provider";
import { useSymbol } from "@/lib/symbol";
import { TickerRow } from "./TickerRow";
import { TickerSkeleton } from "./TickerSkeleton";

/** Every symbol's newest price and quote; choosing one fills the rest of the page. */
export function Ticker() {
  const { symbol, symbols, select } = useSymbol();
  const market = useMarket();
  const isWaiting = useCell(market.connection).phase === "connecting";
  return (
    <Panel label="Symbols" className="@container h-100 lg:h-auto" actions={<Count />}>
      <TableScroll aria-label="Symbols and their prices">
        {symbols.length === 0 && !isWaiting ? (
          <Empty what="trades" />
        ) : (
          <Table className="table-fixed">
            <Head />
            <tbody onKeyDown={moveFocus}>
              {symbols.length === 0 && <TickerSkeleton />}
              {symbols.map((name) => (
                <TickerRow
                  key={name}
                  symbol={name}
                  isSelected={name === symbol}
                  onSelect={select}
                />
              ))}
            </tbody>
          </Table>
        )}
      </TableScroll>
    </Panel>
  );
}

function Count() {
  const { symbols } = useSymbol();
  if (!symbols.length) return null;
  return <span className="text-xs text-muted tabular-nums">{symbols.length}</span>;
}

function Head() {
  return (
    <thead>
      <tr>
        <HeadCell align="left" className="w-15">
          Symbol
        </HeadCell>
        <HeadCell className="w-22">Last</HeadCell>
        <HeadCell
          className="w-17"
          title="Since the previous close or the session's opening"
        >
          Change
        </HeadCell>
        <HeadCell className="hidden w-18 @[31rem]:table-cell">Bid</HeadCell>
        <HeadCell className="hidden w-18 @[31rem]:table-cell">Ask</HeadCell>
        <HeadCell className="hidden w-16 @[34.5rem]:table-cell">Spread $</HeadCell>
        <HeadCell className="w-11">
          <abbr
            title="Spread in basis points of the mid price"
            className="no-underline"
          >
            bps
          </abbr>
        </HeadCell>
        <HeadCell className="w-20">Age</HeadCell>
      </tr>
    </thead>
  );
}

const STEPS: Record<string, (at: number, count: number) => number> = {
  ArrowDown: (at, count) => Math.min(at + 1, count - 1),
  ArrowUp: (at) => Math.max(at - 1, 0),
  Home: () => 0,
  End: (_, count) => count - 1,
};

/** Arrow keys go from row to row and choose the symbol they land on. */
function moveFocus(event: KeyboardEvent<HTMLElement>) {
  const step = STEPS[event.key];
  const links = [...event.currentTarget.querySelectorAll("a")];
  const at = links.indexOf(document.activeElement as HTMLAnchorElement);
  if (!step || at < 0) return;
  event.preventDefault();
  const next = links[step(at, links.length)];
  next?.focus();
  next?.click();
}
