import type { z } from "zod";
import type { FileAttributes, TreeSpace } from "../../coordinator/index.ts";
import { GfsError } from "../../core/errors.ts";
import type { Moment } from "../../core/moment.ts";
import type * as schemas from "./file-schemas.ts";
import { defined } from "./views.ts";

export function fileView(path: string, file: FileAttributes): z.infer<typeof schemas.fileSchema> {
  const { target, rdev } = file;
  return {
    path,
    inode: file.inode,
    kind: file.kind,
    mode: file.mode.toString(8).padStart(4, "0"),
    uid: file.uid,
    gid: file.gid,
    links: file.linkCount,
    size: file.sizeBytes,
    accessed_at: timeText(file.accessed),
    modified_at: timeText(file.modified),
    changed_at: timeText(file.changed),
    created_at: timeText(file.created),
    ...(target === undefined ? {} : { target }),
    ...(rdev === undefined ? {} : { device: rdev }),
  };
}

export function spaceView(path: string, space: TreeSpace): z.infer<typeof schemas.spaceSchema> {
  const { used, maxBytes, maxInodes, leftBytes, leftInodes, sites } = space;
  return defined({
    path: path.replace(/\/$/, ""),
    bytes: used.bytes,
    inodes: used.inodes,
    older_bytes: used.olderBytes,
    max_bytes: maxBytes,
    max_inodes: maxInodes,
    left_bytes: leftBytes,
    left_inodes: leftInodes,
    sites: sites.map(({ site, role, required, totalBytes, freeBytes, error }) =>
      defined({ site, role, required, total_bytes: totalBytes, free_bytes: freeBytes, error }),
    ),
  });
}

/** Milliseconds, and the nanoseconds after them where there are any. */
function timeText({ ms, ns }: Moment): string {
  const text = new Date(ms).toISOString();
  return ns === 0 ? text : `${text.slice(0, -1)}${String(ns).padStart(6, "0")}Z`;
}

export function momentOfText(text: string | undefined): Moment | "now" | undefined {
  if (text === undefined || text === "now") return text;
  const [, whole = "", fraction = "", zone = ""] = /^([^.Z+]*T[^.Z+-]*)(?:\.(\d+))?(.*)$/.exec(text) ?? [];
  const seconds = Date.parse(`${whole}${zone}`);
  if (Number.isNaN(seconds)) throw new GfsError("InvalidArgument", `${text} is no time.`);
  const nanoseconds = Number(fraction.padEnd(9, "0"));
  return { ms: seconds + Math.floor(nanoseconds / 1_000_000), ns: nanoseconds % 1_000_000 };
}
