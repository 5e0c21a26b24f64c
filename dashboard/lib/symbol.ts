import { useCell } from "./api/cell";
import { useMarket } from "./api/provider";
import { useSearchParam } from "./remembered";

/** The symbol that the page shows: the address names it, else the first one. */
export function useSymbol() {
  const [named, select] = useSearchParam("symbol");
  const symbols = useCell(useMarket().symbols);
  return { symbol: named?.toUpperCase() ?? symbols[0] ?? null, symbols, select };
}
