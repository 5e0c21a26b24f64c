import {
  type CandlestickData,
  CandlestickSeries,
  createChart,
  type HistogramData,
  HistogramSeries,
  type IChartApi,
  type ISeriesApi,
  type TickMarkType,
  type UTCTimestamp,
} from "lightweight-charts";
import type { Candle } from "@/lib/api/market";
import { formatCompact, formatPrice } from "@/lib/format/number";
import { formatTime, type Zone } from "@/lib/format/time";
import { difference } from "./candles";

/** A corrected older bar redraws everything: wait for its neighbours first. */
const REDRAW_AFTER_MS = 250;
const BAR_SPACING_PX = 8;
const RIGHT_OFFSET_BARS = 4;
const FIRST_TIME_OF_DAY: TickMarkType = 3;

interface Listener {
  /** The candle under the pointer, or null. */
  onHover: (candle: Candle | null) => void;
  /** Whether the newest candle has left the view. */
  onAway: (isAway: boolean) => void;
}

/** Candles over volume in one element: the imperative side of the chart. */
export class CandleChart {
  readonly #chart: IChartApi;
  readonly #candles: ISeriesApi<"Candlestick">;
  readonly #volume: ISeriesApi<"Histogram">;
  #drawn: readonly Candle[] = [];
  #redraw: ReturnType<typeof setTimeout> | undefined;
  #colours = readColours();
  #isAway = false;

  constructor(element: HTMLElement, listener: Listener) {
    this.#chart = createChart(element, {
      autoSize: true,
      // A finger that goes up or down scrolls the page.
      handleScroll: { vertTouchDrag: false },
      layout: { attributionLogo: true, panes: { enableResize: false } },
      timeScale: {
        timeVisible: true,
        barSpacing: BAR_SPACING_PX,
        rightOffset: RIGHT_OFFSET_BARS,
      },
      rightPriceScale: { borderVisible: false, minimumWidth: 64, entireTextOnly: true },
    });
    this.#candles = this.#chart.addSeries(CandlestickSeries, {
      priceFormat: { type: "custom", formatter: formatPrice, minMove: 0.01 },
    });
    this.#volume = this.#chart.addSeries(
      HistogramSeries,
      {
        priceFormat: { type: "custom", formatter: formatCompact, minMove: 1 },
        priceLineVisible: false,
        lastValueVisible: false,
      },
      1,
    );
    const [prices, volumes] = this.#chart.panes();
    prices?.setStretchFactor(4);
    volumes?.setStretchFactor(1);
    this.repaint();
    this.#listen(listener);
  }

  /** Draw what changed since the last call; at most one redraw of everything in a while. */
  show(candles: readonly Candle[]): void {
    const change = difference(this.#drawn, candles);
    if (change.kind === "none") return;
    if (change.kind === "all") return this.#redrawSoon(candles);
    this.#cancelRedraw();
    for (const candle of change.candles) {
      this.#candles.update(asPrices(candle));
      this.#volume.update(this.#asVolume(candle));
    }
    this.#drawn = candles;
  }

  /** Draw another series of candles, at once, from its newest end. */
  replace(candles: readonly Candle[]): void {
    this.#redrawAll(candles);
    this.#chart.timeScale().applyOptions({ barSpacing: BAR_SPACING_PX });
    this.#chart.timeScale().scrollToPosition(RIGHT_OFFSET_BARS, false);
  }

  setZone(zone: Zone): void {
    this.#chart.applyOptions({
      localization: {
        timeFormatter: (time: UTCTimestamp) => formatTime(time * 1_000, zone, "full"),
      },
      timeScale: {
        tickMarkFormatter: (time: UTCTimestamp, type: TickMarkType) =>
          tickMark(time * 1_000, type, zone),
      },
    });
  }

  /** Take the page's colours, after its theme has changed. */
  repaint(): void {
    const { up, down, muted, line, hair } = readColours();
    this.#colours = readColours();
    this.#chart.applyOptions({
      layout: {
        background: { color: "transparent" },
        textColor: muted,
        fontFamily: getComputedStyle(document.body).fontFamily,
        panes: { separatorColor: line, separatorHoverColor: line },
      },
      grid: { vertLines: { color: hair }, horzLines: { color: hair } },
      timeScale: { borderColor: line },
      crosshair: {
        vertLine: { color: muted, labelBackgroundColor: muted },
        horzLine: { color: muted, labelBackgroundColor: muted },
      },
    });
    this.#candles.applyOptions({
      upColor: up,
      wickUpColor: up,
      borderUpColor: up,
      downColor: down,
      wickDownColor: down,
      borderDownColor: down,
    });
    this.#volume.setData(this.#drawn.map((candle) => this.#asVolume(candle)));
  }

  pan(bars: number): void {
    const scale = this.#chart.timeScale();
    scale.scrollToPosition(scale.scrollPosition() + bars, false);
  }

  zoom(factor: number): void {
    const scale = this.#chart.timeScale();
    scale.applyOptions({ barSpacing: scale.options().barSpacing * factor });
  }

  goLive(): void {
    const isStill = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.#chart.timeScale().scrollToPosition(RIGHT_OFFSET_BARS, !isStill);
  }

  destroy(): void {
    this.#cancelRedraw();
    this.#chart.remove();
  }

  #listen({ onHover, onAway }: Listener): void {
    this.#chart.subscribeCrosshairMove(({ time }) => {
      const ms = Number(time) * 1_000;
      onHover(this.#drawn.find((candle) => candle.time === ms) ?? null);
    });
    this.#chart.timeScale().subscribeVisibleLogicalRangeChange(() => {
      const isAway = this.#chart.timeScale().scrollPosition() < -1;
      if (isAway !== this.#isAway) onAway(isAway);
      this.#isAway = isAway;
    });
  }

  #redrawSoon(candles: readonly Candle[]): void {
    if (this.#drawn.length === 0) return this.replace(candles);
    this.#cancelRedraw();
    this.#redraw = setTimeout(() => this.#redrawAll(candles), REDRAW_AFTER_MS);
  }

  #cancelRedraw(): void {
    clearTimeout(this.#redraw);
  }

  #redrawAll(candles: readonly Candle[]): void {
    this.#cancelRedraw();
    this.#candles.setData(candles.map(asPrices));
    this.#volume.setData(candles.map((candle) => this.#asVolume(candle)));
    this.#drawn = candles;
  }

  #asVolume({ time, open, close, volume }: Candle): HistogramData<UTCTimestamp> {
    const color = close >= open ? this.#colours.upSoft : this.#colours.downSoft;
    return { time: asSeconds(time), value: volume, color };
  }
}

function asSeconds(ms: number): UTCTimestamp {
  return (ms / 1_000) as UTCTimestamp;
}

function asPrices({
  time,
  open,
  high,
  low,
  close,
}: Candle): CandlestickData<UTCTimestamp> {
  return { time: asSeconds(time), open, high, low, close };
}

/** The chart thinks in UTC days: in another zone its day mark falls inside a day. */
function tickMark(ms: number, type: TickMarkType, zone: Zone): string {
  const minute = formatTime(ms, zone, "minute");
  const isDay = type < FIRST_TIME_OF_DAY && minute === "00:00";
  return isDay ? formatTime(ms, zone, "day") : minute;
}

function readColours() {
  const style = getComputedStyle(document.documentElement);
  const colour = (name: string) => style.getPropertyValue(`--${name}`).trim();
  return {
    up: colour("up"),
    down: colour("down"),
    upSoft: colour("up-soft"),
    downSoft: colour("down-soft"),
    muted: colour("muted"),
    line: colour("line"),
    hair: colour("hair"),
  };
}
