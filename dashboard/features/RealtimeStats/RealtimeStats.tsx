"use client";

import { useMemo, useState } from "react";
import { Empty } from "@/components/empty";
import { Panel } from "@/components/ui/panel";
import { Segments } from "@/components/ui/segments";
import { Table, TableScroll } from "@/components/ui/table";
import { useCell } from "@/lib/api/cell";
import { useMarket } from "@/lib/api/provider";
import { useStatsWindows } from "@/lib/api/queries";
import { useSymbol } from "@/lib/symbol";
import { type Order, type SortKey, sorted, withNewest } from "./columns";
import { StatsHead } from "./StatsHead";
import { StatsRow } from "./StatsRow";
import { StatsSkeleton } from "./StatsSkeleton";

type View = "symbols" | "windows";

const START: Record<View, Order> = {
  symbols: { key: "symbol", isDescending: false },
  windows: { key: "window_start", isDescending: true },
};

/** What the lake counts per symbol and minute: newest of all, or one symbol's past. */
export function RealtimeStats() {
  const { symbol } = useSymbol();
  const [view, setView] = useState<View>("symbols");
  const [order, setOrder] = useState(START.symbols);
  const { rows, query } = useRows(view, symbol);
  const shown = useMemo(() => sorted(rows, order), [rows, order]);
  const isConnecting = useCell(useMarket().connection).phase === "connecting";
  const isLoading = view === "symbols" ? isConnecting : query.isLoading;

  function show(next: View) {
    setView(next);
    setOrder(START[next]);
  }

  function sortBy(key: SortKey) {
    const isAgain = order.key === key;
    setOrder({ key, isDescending: isAgain ? !order.isDescending : key !== "symbol" });
  }

  return (
    <Panel
      label="Statistics"
      className="h-96 lg:h-auto"
      actions={
        <>
          <Version />
          <Segments
            label="Which windows"
            value={view}
            onChange={show}
            options={[
              { value: "symbols", label: "Newest minute" },
              { value: "windows", label: `${symbol ?? "Symbol"} by minute` },
            ]}
          />
        </>
      }
    >
      <TableScroll aria-label="Statistics per symbol and window">
        {shown.length === 0 && !isLoading ? (
          <Empty
            what="statistics"
            hint={query.data?.hint}
            error={view === "windows" ? query.error : null}
            retry={() => void query.refetch()}
          />
        ) : (
          <Table>
            <StatsHead order={order} onSort={sortBy} />
            <tbody>
              {shown.length === 0 && <StatsSkeleton />}
              {shown.map((row) => (
                <StatsRow
                  key={row.symbol + row.window_start}
                  row={row}
                  isSelected={view === "symbols" && row.symbol === symbol}
                  isNewest={view === "symbols" || row === rows[0]}
                />
              ))}
            </tbody>
          </Table>
        )}
      </TableScroll>
    </Panel>
  );
}

function useRows(view: View, symbol: string | null) {
  const newest = useCell(useMarket().stats);
  const isPast = view === "windows" && symbol !== null;
  const query = useStatsWindows(symbol ?? "", isPast);
  const rows = useMemo(() => {
    if (!isPast) return [...newest.values()];
    return withNewest(query.data?.items ?? [], newest.get(symbol));
  }, [isPast, newest, query.data, symbol]);
  return { rows, query };
}

function Version() {
  const version = useCell(useMarket().statsVersion);
  if (version === null) return null;
  return (
    <span
      title={`Every number is that of gold.symbol_stats at version ${version}`}
      className="hidden text-xs text-muted tabular-nums sm:inline"
    >
      version {version}
    </span>
  );
}
