import { clsx } from "clsx";
import { HeadCell } from "@/components/ui/table";
import { COLUMNS, type Order, type SortKey } from "./columns";

interface StatsHeadProps {
  order: Order;
  onSort: (key: SortKey) => void;
}

const NAMES = [
  { key: "symbol", label: "Symbol", title: "Symbol" },
  { key: "window_start", label: "Minute", title: "Start of the window, UTC" },
] as const;

export function StatsHead({ order, onSort }: StatsHeadProps) {
  return (
    <thead>
      <tr>
        {[...NAMES, ...COLUMNS].map(({ key, label, title }) => (
          <HeadCell
            key={key}
            aria-sort={ariaSort(order, key)}
            align={NAMES.some((name) => name.key === key) ? "left" : "right"}
            className={clsx(key === "symbol" && "left-0 z-20")}
          >
            <button
              type="button"
              title={title}
              onClick={() => onSort(key)}
              className="relative rounded font-medium hover:text-ink"
            >
              {label}
              <span
                aria-hidden="true"
                className="absolute top-1/2 left-full -translate-y-1/2 text-[0.65em]"
              >
                {order.key === key && (order.isDescending ? "▼" : "▲")}
              </span>
            </button>
          </HeadCell>
        ))}
        <HeadCell>Age</HeadCell>
      </tr>
    </thead>
  );
}

function ariaSort({ key, isDescending }: Order, column: SortKey) {
  if (key !== column) return undefined;
  return isDescending ? "descending" : "ascending";
}
