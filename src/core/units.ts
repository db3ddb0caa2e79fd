import { GfsError } from "./errors.ts";

/** Durations and sizes as people write them: `250ms`, `30s`, `1m30s`, `2h`; `64MiB`, `1GB`, `4096`. */

const DURATION_UNITS_MS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** A bare number is accepted only when it is 0: `30` could mean seconds or minutes, and a guess would be wrong for somebody. */
export function parseDurationMs(text: string): number {
  const trimmed = text.trim();
  if (trimmed === "0") return 0;
  let totalMs = 0;
  let rest = trimmed;
  while (rest !== "") {
    const match = /^(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h|d)/.exec(rest);
    if (match === null) {
      throw new GfsError(
        "InvalidArgument",
        `"${text}" is not a duration; write a number with a unit, such as 250ms, 30s, 5m or 2h.`,
      );
    }
    totalMs += Number(match[1]) * (DURATION_UNITS_MS[match[2] as string] as number);
    rest = rest.slice(match[0].length);
  }
  if (trimmed === "")
    throw new GfsError("InvalidArgument", "A duration is missing; write a number with a unit, such as 30s.");
  return totalMs;
}

const SIZE_UNITS: Readonly<Record<string, number>> = {
  "": 1,
  b: 1,
  k: 1024,
  kb: 1e3,
  kib: 1024,
  m: 1024 ** 2,
  mb: 1e6,
  mib: 1024 ** 2,
  g: 1024 ** 3,
  gb: 1e9,
  gib: 1024 ** 3,
  t: 1024 ** 4,
  tb: 1e12,
  tib: 1024 ** 4,
  p: 1024 ** 5,
  pb: 1e15,
  pib: 1024 ** 5,
};

export function parseSizeBytes(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text.trim());
  const unit = match === null ? undefined : SIZE_UNITS[(match[2] as string).toLowerCase()];
  if (match === null || unit === undefined) {
    throw new GfsError(
      "InvalidArgument",
      `"${text}" is not a size; write bytes or a number with a unit, such as 64MiB or 1GB.`,
    );
  }
  const sizeBytes = Number(match[1]) * unit;
  if (!Number.isSafeInteger(Math.round(sizeBytes))) {
    throw new GfsError("InvalidArgument", `"${text}" is too large a size; the limit is 8 PiB.`);
  }
  return Math.round(sizeBytes);
}

export function formatSize(sizeBytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let value = sizeBytes;
  let step = 0;
  while (value >= 1024 && step < units.length - 1) {
    value /= 1024;
    step += 1;
  }
  const digits = step === 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return `${value.toFixed(digits)} ${units[step] as string}`;
}

/** The shortest text that `parseDurationMs` reads back as the same duration, such as `1m30s`. */
export function formatDuration(durationMs: number): string {
  if (durationMs === 0) return "0";
  if (durationMs < 1) return `${Math.round(durationMs * 1_000)}us`;
  if (durationMs < 1_000) return `${Math.round(durationMs * 1_000) / 1_000}ms`;
  let restMs = Math.round(durationMs);
  let text = "";
  for (const [unit, unitMs] of [
    ["d", 86_400_000],
    ["h", 3_600_000],
    ["m", 60_000],
    ["s", 1_000],
    ["ms", 1],
  ] as const) {
    const count = Math.floor(restMs / unitMs);
    if (count > 0) text += `${count}${unit}`;
    restMs -= count * unitMs;
  }
  return text;
}
