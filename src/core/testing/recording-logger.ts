import type { LogFields, Logger } from "../ports/log.ts";

export interface LogLine {
  readonly level: "debug" | "info" | "warn" | "error";
  readonly event: string;
  readonly fields: LogFields;
}

/** A log that a test can read. */
export interface RecordingLogger extends Logger {
  readonly lines: readonly LogLine[];
}

export function recordingLogger(lines: LogLine[] = [], more: LogFields = {}): RecordingLogger {
  const write =
    (level: LogLine["level"]) =>
    (event: string, fields: LogFields = {}): void => {
      lines.push({ level, event, fields: { ...more, ...fields } });
    };
  return {
    lines,
    debugs: true,
    debug: write("debug"),
    info: write("info"),
    warn: write("warn"),
    error: write("error"),
    with: (fields) => recordingLogger(lines, { ...more, ...fields }),
  };
}
