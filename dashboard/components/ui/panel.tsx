import { clsx } from "clsx";
import type { ComponentProps, ReactNode } from "react";

interface PanelProps extends Omit<ComponentProps<"section">, "title"> {
  /** Its heading, and its name to a screen reader. */
  label: string;
  /** What stands at the right of the heading. */
  actions?: ReactNode;
}

/** One tile of the desk: a heading, its controls, its content. */
export function Panel({ label, actions, className, children, ...props }: PanelProps) {
  return (
    <section
      aria-label={label}
      className={clsx(
        "flex min-h-0 min-w-0 flex-col overflow-hidden rounded-lg border border-line bg-panel",
        className,
      )}
      {...props}
    >
      <header className="flex h-11 shrink-0 items-center gap-3 border-b border-line px-3">
        <h2 className="mr-auto truncate text-sm font-semibold text-ink">{label}</h2>
        {actions}
      </header>
      {children}
    </section>
  );
}
