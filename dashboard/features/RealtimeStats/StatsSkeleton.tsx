import { Skeleton } from "@/components/ui/skeleton";
import { Cell } from "@/components/ui/table";
import { COLUMNS } from "./columns";

const ROWS = Array.from({ length: 12 }, (_, row) => row);

export function StatsSkeleton() {
  return ROWS.map((row) => (
    <tr key={row}>
      <Cell align="left">
        <Skeleton className="w-10" />
      </Cell>
      <Cell colSpan={COLUMNS.length + 2}>
        <Skeleton className="w-full" />
      </Cell>
    </tr>
  ));
}
