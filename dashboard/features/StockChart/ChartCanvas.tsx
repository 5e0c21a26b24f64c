"use client";

import { type KeyboardEvent, useEffect, useRef } from "react";
import type { Cell } from "@/lib/api/cell";
import type { Candle, LiveCandle } from "@/lib/api/market";
import type { BarLength } from "@/lib/api/queries";
import type { Zone } from "@/lib/format/time";
import { joined, LENGTH_MS, withLive } from "./candles";
import { CandleChart } from "./chart";

export interface Snapshot {
  bars: readonly Candle[];
  minutes: readonly Candle[];
  /** When the minutes were fetched, Unix ms. */
  fetchedMs: number;
  /** Whether the first answer is there: until then only the stream's minutes are. */
  isLoaded: boolean;
}

interface ChartCanvasProps {
  symbol: string;
  barLength: BarLength;
  zone: Zone;
  snapshot: Snapshot;
  live: Cell<readonly LiveCandle[]>;
  /** What the legend shows: the candle under the pointer, else the newest. */
  legend: Cell<Candle | null>;
  isAway: Cell<boolean>;
  /** Changes when somebody asks to go to the newest candle. */
  goLiveCount: number;
}

/** The chart itself. Ticks go from the stream into it without passing React. */
export default function ChartCanvas(props: ChartCanvasProps) {
  const { symbol, barLength, zone, snapshot, live, legend, isAway, goLiveCount } =
    props;
  const element = useRef<HTMLDivElement>(null);
  const chart = useRef<CandleChart>(null);
  const hovered = useRef<Candle | null>(null);
  const shown = useRef("");

  useEffect(() => {
    if (!element.current) return;
    const made = new CandleChart(element.current, {
      onHover: (candle) => {
        hovered.current = candle;
        if (candle) legend.set(candle);
      },
      onAway: (away) => isAway.set(away),
    });
    chart.current = made;
    const theme = new MutationObserver(() => made.repaint());
    theme.observe(document.documentElement, { attributeFilter: ["class"] });
    return () => {
      theme.disconnect();
      made.destroy();
      chart.current = null;
      shown.current = "";
    };
  }, [legend, isAway]);

  useEffect(() => chart.current?.setZone(zone), [zone]);

  useEffect(() => {
    if (goLiveCount > 0) chart.current?.goLive();
  }, [goLiveCount]);

  useEffect(() => {
    const { bars, minutes, fetchedMs, isLoaded } = snapshot;
    function draw() {
      const known = withLive(minutes, live.get(), fetchedMs);
      const candles = joined(bars, known, LENGTH_MS[barLength]);
      const name = `${symbol} ${barLength} ${isLoaded}`;
      if (name === shown.current) chart.current?.show(candles);
      else chart.current?.replace(candles);
      shown.current = name;
      if (!hovered.current) legend.set(candles.at(-1) ?? null);
    }
    draw();
    return live.subscribe(draw);
  }, [symbol, barLength, snapshot, live, legend]);

  function onKeyDown(event: KeyboardEvent) {
    const act = chart.current && KEYS[event.key];
    if (!chart.current || !act) return;
    event.preventDefault();
    act(chart.current);
  }

  return (
    // biome-ignore lint/a11y/useSemanticElements: a fieldset is for forms
    <div
      ref={element}
      role="group"
      aria-label={`${barLength} candles of ${symbol}. Left and right move in time, plus and minus zoom, End goes to the newest. The table after the chart has the numbers.`}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: it is moved by the keyboard
      tabIndex={0}
      onKeyDown={onKeyDown}
      className="absolute inset-0"
    />
  );
}

const KEYS: Record<string, (chart: CandleChart) => void> = {
  ArrowLeft: (chart) => chart.pan(-5),
  ArrowRight: (chart) => chart.pan(5),
  "+": (chart) => chart.zoom(1.25),
  "-": (chart) => chart.zoom(0.8),
  End: (chart) => chart.goLive(),
};
