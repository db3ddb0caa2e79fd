import { statfsSync } from "node:fs";
import { GfsError } from "../../core/errors.ts";

const MAP_FULL = -30_792;
const NEARLY_FULL_BYTES = 1024 ** 2;

/** A write that was cut short by a full disk comes back as a bare input/output error, so the disk itself is asked. */
export function translateFailure(error: unknown, directory: string): GfsError {
  if (error instanceof GfsError) return error;
  const { code, message } = error as { code?: unknown; message?: string };
  const full = code === MAP_FULL || /MDB_MAP_FULL|No space left/i.test(String(message)) || isFull(directory);
  if (!full)
    return new GfsError("Unavailable", `The catalog could not be written: ${String(message)}.`, {
      op: "kv.transact",
      cause: error,
    });
  return new GfsError(
    "NoSpace",
    "The disk that holds the catalog is full; free some space or move coordinator.data_dir.",
    { op: "kv.transact", cause: error },
  );
}

function isFull(directory: string): boolean {
  const { bavail, bsize } = statfsSync(directory);
  return bavail * bsize < NEARLY_FULL_BYTES;
}
