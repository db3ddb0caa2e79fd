import { formatSize } from "../core/units.ts";
import type { CliContext } from "./context.ts";
import { printable } from "./terminal.ts";
import { truncateTo } from "./width.ts";

export interface Progress {
  advance(amount: number): void;
  /** Says what is being worked on now. */
  label(text: string): void;
  /** Takes the bar away. */
  end(): void;
}

export interface ProgressOptions {
  readonly label: string;
  /** Unknown: no bar, only what was done. */
  readonly total?: number | undefined;
  readonly unit: "bytes" | "items";
  readonly now?: () => number;
}

const APPEARS_AFTER_MS = 1_000;
const REDRAWN_AFTER_MS = 100;
const BAR_WIDTH = 24;

/** A bar on stderr, for work that takes more than a second, when a person watches. */
export function createProgress({ terminal, json }: CliContext, options: ProgressOptions): Progress {
  const { stderr } = terminal;
  const now = options.now ?? (() => performance.now());
  const startedMs = now();
  const watched = stderr.isTTY === true && !json && terminal.env["TERM"] !== "dumb";
  let done = 0;
  let { label } = options;
  let drawnMs = startedMs + APPEARS_AFTER_MS - REDRAWN_AFTER_MS;
  let drawn = false;

  const draw = (): void => {
    const timeMs = now();
    if (!watched || timeMs - drawnMs < REDRAWN_AFTER_MS) return;
    drawnMs = timeMs;
    drawn = true;
    const line = progressLine({ label, done, total: options.total, unit: options.unit, elapsedMs: timeMs - startedMs });
    stderr.write(`\r\u001b[2K${truncateTo(line, Math.max(20, (stderr.columns ?? 80) - 1))}`);
  };

  return {
    advance(amount) {
      done += amount;
      draw();
    },
    label(text) {
      label = text;
      draw();
    },
    end() {
      if (drawn) stderr.write("\r\u001b[2K");
    },
  };
}

interface ProgressState {
  readonly label: string;
  readonly done: number;
  readonly total: number | undefined;
  readonly unit: "bytes" | "items";
  readonly elapsedMs: number;
}

export function progressLine({ label, done, total, unit, elapsedMs }: ProgressState): string {
  const name = printable(label);
  const shown = (amount: number): string => (unit === "bytes" ? formatSize(amount) : Math.round(amount).toString());
  const perSecond = elapsedMs > 0 ? (done / elapsedMs) * 1_000 : 0;
  const rate = `${shown(perSecond)}/s`;
  if (total === undefined || total === 0) return `${name}  ${shown(done)}  ${rate}`;
  const fraction = Math.min(1, done / total);
  const filled = Math.round(fraction * BAR_WIDTH);
  const bar = `${"#".repeat(filled)}${"-".repeat(BAR_WIDTH - filled)}`;
  const restSeconds = perSecond > 0 ? Math.ceil((total - done) / perSecond) : undefined;
  const eta = restSeconds === undefined ? "" : `  ${clockText(restSeconds)} left`;
  const percent = Math.floor(fraction * 100)
    .toString()
    .padStart(3);
  return `${name}  [${bar}] ${percent}%  ${shown(done)} of ${shown(total)}  ${rate}${eta}`;
}

function clockText(seconds: number): string {
  const minutes = Math.floor(seconds / 60);
  if (minutes >= 60) return `${Math.floor(minutes / 60)}h${String(minutes % 60).padStart(2, "0")}m`;
  return `${minutes}:${String(seconds % 60).padStart(2, "0")}`;
}
