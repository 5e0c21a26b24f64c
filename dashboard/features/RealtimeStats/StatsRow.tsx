import { clsx } from "clsx";
import { memo } from "react";
import { Age } from "@/components/age";
import { Cell } from "@/components/ui/table";
import type { Stats } from "@/lib/api/events";
import { formatTime, toMs } from "@/lib/format/time";
import { STATS_STALE_S } from "@/lib/freshness";
import { COLUMNS } from "./columns";

interface StatsRowProps {
  row: Stats;
  isSelected: boolean;
  /** A past window is not replaced any more: it has an age but is never stale. */
  isNewest: boolean;
}

export const StatsRow = memo(function StatsRow(props: StatsRowProps) {
  const { row, isSelected, isNewest } = props;
  return (
    <tr className={clsx("group", isSelected ? "bg-selected" : "hover:bg-raised")}>
      <Cell
        align="left"
        className={clsx(
          "sticky left-0 font-semibold text-ink",
          isSelected ? "bg-selected marked" : "bg-panel group-hover:bg-raised",
        )}
      >
        {row.symbol}
      </Cell>
      <Cell align="left" className="text-muted">
        {formatTime(toMs(row.window_start), "UTC", "minute")}
        {!row.is_final && (
          <span className="ml-1.5 text-xs text-accent" title="The window is not over">
            forming
          </span>
        )}
      </Cell>
      {COLUMNS.map(({ key, format }) => (
        <Cell key={key} className="text-ink">
          {format(row[key])}
        </Cell>
      ))}
      <Cell className="w-20 min-w-20 text-xs">
        <Age
          bornMs={toMs(row.updated_time)}
          staleAfterS={isNewest ? STATS_STALE_S : Number.POSITIVE_INFINITY}
        />
      </Cell>
    </tr>
  );
});
