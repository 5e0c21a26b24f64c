"use client";

import { useId } from "react";

interface Option<T extends string> {
  value: T;
  label: string;
  /** For a label that is too short to say what it is. */
  title?: string;
}

interface SegmentsProps<T extends string> {
  label: string;
  options: readonly Option<T>[];
  value: T;
  onChange: (value: T) => void;
}

/** Exactly one of a few options. Radio buttons, so arrow keys and readers know them. */
export function Segments<T extends string>(props: SegmentsProps<T>) {
  const { label, options, value, onChange } = props;
  const name = useId();
  return (
    <fieldset className="flex h-7 shrink-0 rounded-md border border-line bg-sunken p-px">
      <legend className="sr-only">{label}</legend>
      {options.map((option) => (
        <label
          key={option.value}
          title={option.title}
          className="relative flex cursor-pointer items-center rounded-[5px] px-2 text-xs font-medium text-muted transition-colors hover:text-ink has-checked:bg-panel has-checked:text-ink has-checked:shadow-[0_0_0_1px_var(--line)] has-focus-visible:outline-2 has-focus-visible:outline-accent"
        >
          <input
            type="radio"
            name={name}
            checked={option.value === value}
            onChange={() => onChange(option.value)}
            className="absolute inset-0 cursor-pointer appearance-none outline-none"
          />
          {option.label}
        </label>
      ))}
    </fieldset>
  );
}
