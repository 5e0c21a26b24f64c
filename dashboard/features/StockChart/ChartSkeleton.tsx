// Any heights do: they are no data and look like none.
const HEIGHTS = [
  34, 42, 38, 50, 46, 58, 52, 44, 48, 60, 66, 58, 62, 54, 48, 56, 64, 70,
];

/** The chart's place while its code and its candles come. */
export function ChartSkeleton() {
  return (
    <div
      aria-hidden="true"
      className="absolute inset-0 flex items-end gap-3 overflow-hidden px-4 pt-10 pb-8"
    >
      {HEIGHTS.map((height, index) => (
        <span
          // biome-ignore lint/suspicious/noArrayIndexKey: it never changes
          key={index}
          className="min-w-1.5 flex-1 rounded-sm bg-raised"
          style={{ height: `${height}%` }}
        />
      ))}
    </div>
  );
}
