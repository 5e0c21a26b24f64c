"use client";

import { ChevronsRight } from "lucide-react";
import dynamic from "next/dynamic";
import { useMemo, useState } from "react";
import { Empty } from "@/components/empty";
import { Button } from "@/components/ui/button";
import { Panel } from "@/components/ui/panel";
import { Segments } from "@/components/ui/segments";
import { Cell, useCell } from "@/lib/api/cell";
import type { Candle } from "@/lib/api/market";
import { useMarket } from "@/lib/api/provider";
import { BAR_LENGTHS, type BarLength, useBars } from "@/lib/api/queries";
import type { Zone } from "@/lib/format/time";
import { usePreference, useSearchParam } from "@/lib/remembered";
import { useSymbol } from "@/lib/symbol";
import { CandleTable } from "./CandleTable";
import { ChartSkeleton } from "./ChartSkeleton";
import { toCandle } from "./candles";
import { Legend } from "./Legend";
import { Quote } from "./Quote";

const ChartCanvas = dynamic(() => import("./ChartCanvas"), {
  ssr: false,
  loading: () => <ChartSkeleton />,
});

const ZONES: readonly Zone[] = ["UTC", "ET"];
const LENGTH_OPTIONS = BAR_LENGTHS.map((value) => ({ value, label: value }));
const ZONE_OPTIONS = [
  { value: "UTC" as const, label: "UTC", title: "Coordinated universal time" },
  { value: "ET" as const, label: "ET", title: "The exchange's time, New York" },
];

export function StockChart() {
  const { symbol } = useSymbol();
  const [named, setBarLength] = useSearchParam("bars");
  const barLength = BAR_LENGTHS.find((length) => length === named) ?? "1m";
  const [zone, setZone] = usePreference("zone", ZONES);
  return (
    <Panel
      label={symbol ?? "Chart"}
      className="h-120 lg:h-auto"
      actions={
        <>
          <Segments
            label="Length of a candle"
            options={LENGTH_OPTIONS}
            value={barLength}
            onChange={setBarLength}
          />
          <Segments
            label="Time zone of the chart"
            options={ZONE_OPTIONS}
            value={zone}
            onChange={setZone}
          />
        </>
      }
    >
      <Quote symbol={symbol} />
      <figure className="relative min-h-0 flex-1">
        {symbol ? (
          <Chart symbol={symbol} barLength={barLength} zone={zone} />
        ) : (
          <Empty what="bars" />
        )}
      </figure>
    </Panel>
  );
}

interface ChartProps {
  symbol: string;
  barLength: BarLength;
  zone: Zone;
}

function Chart({ symbol, barLength, zone }: ChartProps) {
  const live = useMarket().candles(symbol);
  const [legend] = useState(() => new Cell<Candle | null>(null));
  const [isAway] = useState(() => new Cell(false));
  const [goLiveCount, setGoLiveCount] = useState(0);
  const minutes = useBars(symbol, "1m");
  const isLong = barLength !== "1m";
  const bars = useBars(symbol, barLength, isLong);
  const snapshot = useMemo(
    () => ({
      bars: isLong ? (bars.data?.items ?? []).map(toCandle) : [],
      minutes: (minutes.data?.items ?? []).map(toCandle),
      fetchedMs: minutes.dataUpdatedAt,
      isLoaded: !minutes.isLoading && !bars.isLoading,
    }),
    [
      isLong,
      bars.data,
      bars.isLoading,
      minutes.data,
      minutes.isLoading,
      minutes.dataUpdatedAt,
    ],
  );
  const hasLive = useCell(live).length > 0;
  const isEmpty = !snapshot.minutes.length && !hasLive;
  const isCovered = isEmpty || !snapshot.isLoaded;
  return (
    <>
      <div inert={isCovered} className="absolute inset-0">
        <ChartCanvas
          symbol={symbol}
          barLength={barLength}
          zone={zone}
          snapshot={snapshot}
          live={live}
          legend={legend}
          isAway={isAway}
          goLiveCount={goLiveCount}
        />
        <Legend candle={legend} />
        <GoLive isAway={isAway} onClick={() => setGoLiveCount((count) => count + 1)} />
      </div>
      {isCovered && (
        <div className="absolute inset-0 z-20 bg-panel">
          {minutes.isPending && !minutes.failureCount ? (
            <ChartSkeleton />
          ) : (
            <Empty
              what="bars"
              hint={minutes.data?.hint}
              error={minutes.error ?? minutes.failureReason}
              retry={() => void minutes.refetch()}
            />
          )}
        </div>
      )}
      <CandleTable
        caption={`Newest ${barLength} candles of ${symbol}`}
        candles={isLong ? snapshot.bars : snapshot.minutes}
        zone={zone}
      />
    </>
  );
}

function GoLive({ isAway, onClick }: { isAway: Cell<boolean>; onClick: () => void }) {
  if (!useCell(isAway)) return null;
  return (
    <Button
      size="small"
      onClick={onClick}
      className="absolute right-20 bottom-9 z-10 shadow-sm"
    >
      Newest <ChevronsRight aria-hidden="true" />
    </Button>
  );
}
