import type { LockedSpan } from "./rows.ts";
import type { LockMode, Span } from "./types.ts";

/** What one owner has locked of a file: spans in order, none over another, and no two that could be one. */
export type Spans = readonly LockedSpan[];

/** fcntl(2): what was locked there before is replaced, which may cut a span in two. Without a mode it is unlocked. */
export function withSpan(spans: Spans, { start, end }: Span, mode?: LockMode): LockedSpan[] {
  const cut: LockedSpan[] = [];
  for (const span of spans) {
    if (span.end <= start || span.start >= end) {
      cut.push(span);
      continue;
    }
    if (span.start < start) cut.push({ ...span, end: start });
    if (span.end > end) cut.push({ ...span, start: end });
  }
  if (mode !== undefined) cut.push({ start, end, mode });
  cut.sort((one, other) => one.start - other.start);
  const merged: LockedSpan[] = [];
  for (const span of cut) {
    const last = merged.at(-1);
    if (last !== undefined && last.end === span.start && last.mode === span.mode)
      merged[merged.length - 1] = { ...last, end: span.end };
    else merged.push(span);
  }
  return merged;
}

export function conflict(one: LockedSpan, other: LockedSpan): boolean {
  return one.start < other.end && other.start < one.end && (one.mode === "exclusive" || other.mode === "exclusive");
}

/** What of them is in the way. */
export function conflictOf(spans: Spans, wanted: LockedSpan): LockedSpan | undefined {
  return spans.find((span) => conflict(span, wanted));
}

/** As they lie in a row: three numbers a span. */
export function packSpans(spans: Spans): number[][] {
  return spans.map(({ start, end, mode }) => [start, end, mode === "exclusive" ? 1 : 0]);
}

export function unpackSpans(packed: readonly (readonly number[])[]): LockedSpan[] {
  return packed.map(([start = 0, end = 0, mode]) => ({ start, end, mode: mode === 1 ? "exclusive" : "shared" }));
}
