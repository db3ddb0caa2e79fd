import { Writable } from "node:stream";
import pino, { type DestinationStream, type Logger as PinoLogger } from "pino";
import type { LogLevel } from "../core/errors.ts";
import type { LogFields, Logger } from "../core/ports/log.ts";
import { renderLine } from "./pretty.ts";

export interface LoggerConfig {
  readonly level: LogLevel;
  /** `auto`: pretty on a terminal, JSON elsewhere. */
  readonly format: "auto" | "json" | "pretty";
  /** Empty: stderr. */
  readonly file?: string;
}

export interface RootLogger extends Logger {
  /** Opens the log file anew, after it was moved away. */
  reopen(): void;
  /** Writes out what is still in memory. */
  flush(): void;
}

/** Values that must never reach a log, whatever field of whatever object they come in. */
const SECRET_FIELDS = [
  "apiKey",
  "api_key",
  "secretAccessKey",
  "sessionToken",
  "accountKey",
  "sas",
  "connectionString",
  "authorization",
  "password",
];

export function createLogger(config: LoggerConfig): RootLogger {
  const file = config.file === undefined || config.file === "" ? undefined : config.file;
  const pretty = config.format === "pretty" || (config.format === "auto" && file === undefined && process.stderr.isTTY);
  const destination = pino.destination(
    file === undefined ? { fd: 2, sync: true } : { dest: file, mkdir: true, sync: true },
  );
  const stream: DestinationStream = pretty ? prettyStream(destination) : destination;
  const root = pino(
    {
      level: config.level,
      base: null,
      messageKey: "event",
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: SECRET_FIELDS.flatMap((name) => [name, `*.${name}`]), censor: "[secret]" },
    },
    stream,
  );
  return {
    ...wrap(root),
    reopen: () => {
      if (file !== undefined) destination.reopen();
    },
    flush: () => destination.flushSync(),
  };
}

function wrap(logger: PinoLogger): Logger {
  return {
    debugs: logger.isLevelEnabled("debug"),
    debug: (event, fields) => write(logger, "debug", event, fields),
    info: (event, fields) => write(logger, "info", event, fields),
    warn: (event, fields) => write(logger, "warn", event, fields),
    error: (event, fields) => write(logger, "error", event, fields),
    with: (fields) => wrap(logger.child({ ...fields })),
  };
}

function write(logger: PinoLogger, level: LogLevel, event: string, fields: LogFields | undefined): void {
  if (fields === undefined) logger[level](event);
  else logger[level](fields, event);
}

function prettyStream(destination: DestinationStream): Writable {
  const color = process.stderr.isTTY && process.env["NO_COLOR"] === undefined;
  return new Writable({
    decodeStrings: false,
    write(line: string, _encoding, done) {
      destination.write(renderLine(line, color));
      done();
    },
  });
}
