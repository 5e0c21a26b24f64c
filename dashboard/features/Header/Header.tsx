import { ConnectionState } from "./ConnectionState";
import { Latency } from "./Latency";
import { MarketClock } from "./MarketClock";
import { ThemeToggle } from "./ThemeToggle";

export function Header() {
  return (
    <header className="grid h-20 grid-cols-[1fr_auto_auto] items-center gap-x-3 border-b border-line bg-panel px-3 md:flex md:h-12 md:gap-x-5 lg:px-4">
      <h1 className="flex items-center gap-2 text-sm font-semibold tracking-tight text-ink">
        <Mark />
        Tickhouse
      </h1>
      <div className="order-last col-span-3 flex items-center justify-between gap-x-5 md:order-none md:mr-auto">
        <MarketClock />
        <Latency />
      </div>
      <ConnectionState />
      <ThemeToggle />
    </header>
  );
}

function Mark() {
  return (
    <svg viewBox="0 0 20 20" aria-hidden="true" className="size-5">
      <path className="stroke-up" strokeWidth="1.5" d="M5 2v16M15 5v13" />
      <path className="stroke-muted" strokeWidth="1.5" d="M10 3v14" />
      <rect className="fill-up" x="3" y="6" width="4" height="8" rx="1" />
      <rect className="fill-muted" x="8" y="5" width="4" height="7" rx="1" />
      <rect className="fill-up" x="13" y="8" width="4" height="6" rx="1" />
    </svg>
  );
}
