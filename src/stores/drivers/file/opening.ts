import { basename, dirname, join } from "node:path";
import { fromErrno, GfsError, isGfsError } from "../../../core/errors.ts";
import { systemClock } from "../../../core/ports/clock.ts";
import type { Disk, DiskFile } from "../../../core/ports/disk.ts";
import { reopeningStore } from "../../identity/reopening.ts";
import type { Store } from "../../store.ts";
import { capabilitiesOf, DEFAULT_INTAKE_BYTES, type FileStoreConfig, type FileStoreDeps } from "./config.ts";
import { diskFor } from "./disk/node-disk.ts";
import { errnoOf, TAKES_NOTHING } from "./failures.ts";
import { BOUNDS } from "./intake/log.ts";
import { Layout } from "./layout.ts";
import { ATTRIBUTE } from "./object-record.ts";
import { FileStore } from "./store.ts";

/**
 * Objects as plain files below a directory. A write goes to a file of its own, is flushed, renamed into place, and acknowledged once the
 * directory is flushed, too. Several processes may share a directory: renames are atomic between them, and of those who want to be the first one is;
 * other conditions on writes hold within one.
 */
export async function openFileStore(config: FileStoreConfig, deps: FileStoreDeps = {}): Promise<Store> {
  if (config.existing !== true) return await open(config, deps);
  try {
    return await open(config, deps);
  } catch {
    // What is wrong is said to whoever asks for something.
    return reopeningStore({
      driver: "file",
      capabilities: capabilitiesOf(true),
      open: async () => await open(config, deps),
      make: async () => await open({ ...config, existing: false }, deps),
    });
  }
}

async function open(config: FileStoreConfig, deps: FileStoreDeps): Promise<Store> {
  try {
    const disk = deps.disk ?? (await diskFor(config.root));
    const layout = new Layout(config.followsLinks === false ? config.root : await realRoot(disk, config.root), disk);
    if (config.existing === true) await layout.assertMounted("store.open");
    else await layout.prepare();
    const keepsAttributes = await probeAttributes(disk, layout);
    const store = new FileStore({
      disk,
      clock: deps.clock ?? systemClock,
      layout,
      keepsAttributes,
      intake: { ...(deps.intakeBounds ?? BOUNDS), limitBytes: config.intakeBytes ?? DEFAULT_INTAKE_BYTES },
      onStanding: deps.onIntake ?? (() => undefined),
    });
    await store.recover();
    return store;
  } catch (error) {
    if (config.existing === true && isGfsError(error, "Unavailable")) throw error;
    const failure = fromErrno(error, "store.open", { root: config.root });
    throw new GfsError(failure.code, `The directory ${config.root} cannot hold a site: ${failure.message}`, {
      op: "store.open",
      cause: error,
    });
  }
}

/** The directory of a site may be reached by links of the operator's; those below it are not followed. */
async function realRoot(disk: Disk, root: string): Promise<string> {
  try {
    return await disk.realPath(root);
  } catch (error) {
    if (errnoOf(error) !== "ENOENT") throw error;
    return join(await disk.realPath(dirname(root)), basename(root));
  }
}

async function probeAttributes(disk: Disk, layout: Layout): Promise<boolean> {
  const path = `${layout.staging}/probe-${process.pid}-${Math.random().toString(36).slice(2)}`;
  let file: DiskFile;
  try {
    file = await disk.open(path, "create");
  } catch (error) {
    // A full disk, or one to read from only, still gives what it holds, and deletes it.
    if (TAKES_NOTHING.has(errnoOf(error) ?? "")) return true;
    throw error;
  }
  try {
    await file.setAttribute(ATTRIBUTE, Buffer.from("{}"));
    return true;
  } catch (error) {
    const errno = errnoOf(error) ?? "";
    if (errno === "ENOTSUP") return false;
    if (TAKES_NOTHING.has(errno)) return true;
    throw error;
  } finally {
    await file.close();
    await disk.unlink(path);
  }
}
