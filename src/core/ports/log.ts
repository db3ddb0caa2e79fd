/**
 * Logging as a port: a constant event name plus fields. `telemetry` provides the real one.
 * Fields hold facts, never secrets and never bytes of objects.
 */
export type LogFields = Readonly<Record<string, unknown>>;

export interface Logger {
  /** False when a debug line would go nowhere, so that hot paths need not put its fields together. */
  readonly debugs: boolean;
  debug(event: string, fields?: LogFields): void;
  info(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  error(event: string, fields?: LogFields): void;
  /** A logger that adds `fields` to every line. */
  with(fields: LogFields): Logger;
}

const nothing = (): void => undefined;

export const silentLogger: Logger = {
  debugs: false,
  debug: nothing,
  info: nothing,
  warn: nothing,
  error: nothing,
  with: () => silentLogger,
};
