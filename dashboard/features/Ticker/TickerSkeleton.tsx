import { Skeleton } from "@/components/ui/skeleton";
import { Cell } from "@/components/ui/table";

const ROWS = Array.from({ length: 24 }, (_, row) => row);

export function TickerSkeleton() {
  return ROWS.map((row) => (
    <tr key={row}>
      <Cell align="left">
        <Skeleton className="w-10" />
      </Cell>
      <Cell colSpan={7}>
        <Skeleton className="w-full" />
      </Cell>
    </tr>
  ));
}
