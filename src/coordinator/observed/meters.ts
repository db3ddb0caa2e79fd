import { isGfsError, toGfsError } from "../../core/errors.ts";
import type { Clock } from "../../core/ports/clock.ts";
import type { Counter, Histogram, Metrics } from "../../core/ports/metrics.ts";
import type { FileService } from "../service/service.ts";

/** Counts and times operations; a body counts when it has been read to its end or given up. */
export interface OperationMeter<Operation extends string> {
  measure<T>(operation: Operation, work: () => Promise<T>): Promise<T>;
  /** For streams: the measurement ends with the stream. */
  begin(operation: Operation): (error?: unknown) => void;
}

export type ObjectOperation = "get" | "head" | "put" | "delete" | "list" | "rename";
/** Each operation of the service of files by its own name. */
export type FileOperation = keyof FileService;

const BUCKETS_SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];

export function objectMeter(metrics: Metrics, clock: Clock): OperationMeter<ObjectOperation> {
  const total = metrics.counter({
    name: "globalfs_object_operations_total",
    help: "Object operations by operation and status.",
    labels: ["operation", "status"],
  });
  const duration = metrics.histogram({
    name: "globalfs_object_operation_duration_seconds",
    help: "How long object operations took, to the last byte.",
    labels: ["operation"],
    buckets: BUCKETS_SECONDS,
  });
  return meterOf(total, duration, clock);
}

export function fileMeter(metrics: Metrics, clock: Clock): OperationMeter<FileOperation> {
  const total = metrics.counter({
    name: "globalfs_file_operations_total",
    help: "File operations by operation and status.",
    labels: ["operation", "status"],
  });
  const duration = metrics.histogram({
    name: "globalfs_file_operation_duration_seconds",
    help: "How long file operations took, to the last byte.",
    labels: ["operation"],
    buckets: BUCKETS_SECONDS,
  });
  return meterOf(total, duration, clock);
}

function meterOf<Operation extends string>(
  total: Counter,
  duration: Histogram,
  clock: Clock,
): OperationMeter<Operation> {
  const begin = (operation: Operation) => {
    const startedMs = clock.monotonicMs();
    let ended = false;
    return (error?: unknown): void => {
      if (ended) return;
      ended = true;
      total.add(1, { operation, status: statusOf(error) });
      duration.observe((clock.monotonicMs() - startedMs) / 1_000, { operation });
    };
  };
  return {
    begin,
    async measure(operation, work) {
      const end = begin(operation);
      try {
        const result = await work();
        end();
        return result;
      } catch (error) {
        end(error);
        throw error;
      }
    },
  };
}

function statusOf(error: unknown): string {
  if (error === undefined) return "success";
  if (isGfsError(error, "NotFound")) return "not_found";
  if (isGfsError(error, "Canceled")) return "canceled";
  return toGfsError(error).meaning.http >= 500 ? "error" : "refused";
}
