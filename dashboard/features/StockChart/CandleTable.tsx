import { memo } from "react";
import type { Candle } from "@/lib/api/market";
import { formatCount, formatPrice } from "@/lib/format/number";
import { formatTime, type Zone } from "@/lib/format/time";

const ROWS_MAX = 30;

interface CandleTableProps {
  caption: string;
  candles: readonly Candle[];
  zone: Zone;
}

/** The chart's numbers for whom a picture says nothing; newest first. */
export const CandleTable = memo(function CandleTable(props: CandleTableProps) {
  const { caption, candles, zone } = props;
  const newest = candles.slice(-ROWS_MAX).reverse();
  return (
    <div className="sr-only">
      <table>
        <caption>{caption}</caption>
        <thead>
          <tr>
            {[`Start (${zone})`, "Open", "High", "Low", "Close", "Volume"].map(
              (name) => (
                <th key={name} scope="col">
                  {name}
                </th>
              ),
            )}
          </tr>
        </thead>
        <tbody>
          {newest.map(({ time, open, high, low, close, volume }) => (
            <tr key={time}>
              <th scope="row">{formatTime(time, zone, "full")}</th>
              <td>{formatPrice(open)}</td>
              <td>{formatPrice(high)}</td>
              <td>{formatPrice(low)}</td>
              <td>{formatPrice(close)}</td>
              <td>{formatCount(volume)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
});
