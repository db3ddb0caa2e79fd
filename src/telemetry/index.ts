/** Logs and metrics behind the ports of `core`. */
export { createLogger, type LoggerConfig, type RootLogger } from "./logger.ts";
export { createMetrics, type MetricsRegistry } from "./metrics.ts";
