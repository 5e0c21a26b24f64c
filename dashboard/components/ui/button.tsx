import { clsx } from "clsx";
import type { ComponentProps } from "react";

const VARIANTS = {
  outline: "border border-line bg-panel text-ink hover:bg-raised",
  ghost: "text-muted hover:bg-raised hover:text-ink",
};

const SIZES = { small: "h-7 px-2.5 text-xs", icon: "size-8" };

interface ButtonProps extends ComponentProps<"button"> {
  variant?: keyof typeof VARIANTS;
  size?: keyof typeof SIZES;
}

export function Button(props: ButtonProps) {
  const { variant = "outline", size = "small", className, ...rest } = props;
  return (
    <button
      type="button"
      className={clsx(
        "inline-flex items-center justify-center gap-1 rounded-md font-medium whitespace-nowrap transition-colors [&_svg]:size-4",
        VARIANTS[variant],
        SIZES[size],
        className,
      )}
      {...rest}
    />
  );
}
