import { Header } from "@/features/Header/Header";
import { ConnectionNotice } from "@/features/Notices/ConnectionNotice";
import { RealtimeStats } from "@/features/RealtimeStats/RealtimeStats";
import { StockChart } from "@/features/StockChart/StockChart";
import { Ticker } from "@/features/Ticker/Ticker";

export default function Page() {
  return (
    <div className="flex min-h-dvh flex-col lg:h-dvh lg:min-h-176">
      <Header />
      <main className="grid min-h-0 flex-1 grid-cols-[minmax(0,1fr)] gap-2 p-2 lg:grid-cols-[minmax(22rem,2fr)_minmax(0,3fr)] lg:grid-rows-[minmax(0,3fr)_minmax(0,2fr)] lg:gap-3 lg:p-3">
        <div className="contents lg:order-2 lg:block lg:min-h-0 lg:*:h-full">
          <StockChart />
        </div>
        <div className="contents lg:order-1 lg:row-span-2 lg:block lg:min-h-0 lg:*:h-full">
          <Ticker />
        </div>
        <div className="contents lg:order-3 lg:block lg:min-h-0 lg:*:h-full">
          <RealtimeStats />
        </div>
      </main>
      <Footer />
      <ConnectionNotice />
    </div>
  );
}

/** The chart library's licence asks for its notice and a link where it is used. */
function Footer() {
  return (
    <footer className="flex flex-wrap gap-x-6 gap-y-1 px-3 pb-3 text-xs text-muted lg:px-4">
      <p className="mr-auto">
        Charts:{" "}
        <a className="underline underline-offset-2" href="https://www.tradingview.com/">
          TradingView Lightweight Charts™
        </a>
        , copyright © 2025 TradingView, Inc.
      </p>
      <p>Times are UTC unless they say ET.</p>
    </footer>
  );
}
