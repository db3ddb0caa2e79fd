/** Reads, and writes if wanted, that the kernel takes to a file of another file system itself (Linux 6.9). */
import { InitBit } from "../protocol/flags.ts";
import { FuseError } from "../protocol/errors.ts";
import type { Connection } from "../session/file-system.ts";
import { BackingFiles, type BackingFilesConfig } from "./backing-files.ts";
import { backingDevice } from "./device-calls.ts";

export { BackingFiles } from "./backing-files.ts";
export type { BackingFilesConfig } from "./backing-files.ts";

/**
 * To be called in `init` of a file system with the feature `passthrough`, in the thread that serves it. Undefined, and the reason reported, if
 * the kernel or this process cannot do it. With `writes`, see `backingDevice`.
 */
export function openBackingFiles(
  connection: Connection,
  options: BackingFilesConfig & { readonly writes: boolean },
): BackingFiles | undefined {
  if (!connection.negotiated.bits.includes(InitBit.PASSTHROUGH)) {
    connection.report(
      new FuseError(
        "Unsupported",
        "This kernel has no passthrough, so this process serves all reads: it needs Linux 6.9.",
      ),
    );
    return undefined;
  }
  try {
    const device = backingDevice(connection.device, { clearsPrivileges: options.writes });
    return new BackingFiles({ device, report: (problem) => connection.report(problem) }, options);
  } catch (error) {
    if (!(error instanceof FuseError)) throw error;
    connection.report(error);
    return undefined;
  }
}
