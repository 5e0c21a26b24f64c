import "./globals.css";
import { GeistSans } from "geist/font/sans";
import type { Metadata, Viewport } from "next";
import { ThemeProvider } from "next-themes";
import type { ReactNode } from "react";
import { ApiProvider } from "@/lib/api/provider";

export const metadata: Metadata = {
  title: "Tickhouse",
  description: "Live US-equity prices, candles and statistics, each with its age.",
};

export const viewport: Viewport = {
  themeColor: [
    { media: "(prefers-color-scheme: dark)", color: "#0b0e14" },
    { media: "(prefers-color-scheme: light)", color: "#f5f6f8" },
  ],
};

export default function Layout({ children }: { children: ReactNode }) {
  return (
    // next-themes sets the class before React sees the page.
    <html lang="en" className={GeistSans.variable} suppressHydrationWarning>
      <body>
        <ThemeProvider attribute="class" disableTransitionOnChange>
          <ApiProvider>{children}</ApiProvider>
        </ThemeProvider>
      </body>
    </html>
  );
}
