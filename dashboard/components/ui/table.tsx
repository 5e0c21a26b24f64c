import { clsx } from "clsx";
import type { ComponentProps } from "react";

/** A table that scrolls inside its tile, never the page; the head stays in sight. */
export function TableScroll({ className, ...props }: ComponentProps<"section">) {
  return (
    <section
      // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard (WCAG 2.1.1)
      tabIndex={0}
      className={clsx(
        "relative min-h-0 flex-1 overflow-auto overscroll-contain",
        className,
      )}
      {...props}
    />
  );
}

export function Table({ className, ...props }: ComponentProps<"table">) {
  return (
    <table
      className={clsx("w-full border-separate border-spacing-0 text-sm", className)}
      {...props}
    />
  );
}

const ALIGN = { left: "text-left", right: "text-right" };

/** Words stand left; numbers stand right, so that their digits line up. */
interface Aligned {
  align?: keyof typeof ALIGN;
}

export function HeadCell(props: Omit<ComponentProps<"th">, "align"> & Aligned) {
  const { align = "right", className, ...rest } = props;
  return (
    <th
      scope="col"
      className={clsx(
        "sticky top-0 z-10 h-8 border-b border-line bg-panel px-2 text-xs font-medium whitespace-nowrap text-muted first:pl-3 last:pr-3",
        ALIGN[align],
        className,
      )}
      {...rest}
    />
  );
}

export function Cell(props: Omit<ComponentProps<"td">, "align"> & Aligned) {
  const { align = "right", className, ...rest } = props;
  return (
    <td
      className={clsx(
        "h-8 border-b border-hair px-2 whitespace-nowrap tabular-nums first:pl-3 last:pr-3",
        ALIGN[align],
        className,
      )}
      {...rest}
    />
  );
}
