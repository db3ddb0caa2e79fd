import type { ChangeLine } from "../../../coordinator/service/service.ts";

/** What S3 calls a change of the namespace. */

export interface NamedEvent {
  /** Such as `s3:ObjectCreated:Put`. */
  readonly type: string;
  /** In the namespace. */
  readonly path: string;
  /** The change is one of the object that is there now, so that its size can be told. */
  readonly describes: boolean;
}

/** Directories and symbolic links are no objects, and a directory that is renamed is one change, whatever is below it. */
export function eventsOf(change: ChangeLine): readonly NamedEvent[] {
  const { kind, path, from, versionId } = change;
  if (versionId === undefined) return [];
  if (kind === "removed") return [{ type: removalType(change), path, describes: false }];
  if (kind === "renamed") {
    const created = { type: "s3:ObjectCreated:Copy", path, describes: true };
    return from === undefined
      ? [created]
      : [{ type: "s3:ObjectRemoved:Delete", path: from, describes: false }, created];
  }
  const type = writingType(change);
  return type === undefined ? [] : [{ type, path, describes: true }];
}

function removalType({ cause }: ChangeLine): string {
  if (cause === "hidden") return "s3:ObjectRemoved:DeleteMarkerCreated";
  return cause === "expired" ? "s3:LifecycleExpiration:Delete" : "s3:ObjectRemoved:Delete";
}

function writingType({ cause }: ChangeLine): string | undefined {
  switch (cause) {
    case "copied":
      return "s3:ObjectCreated:Copy";
    case "assembled":
      return "s3:ObjectCreated:CompleteMultipartUpload";
    case "tagged":
      return "s3:ObjectTagging:Put";
    case "untagged":
      return "s3:ObjectTagging:Delete";
    case "labelled":
    case "uncovered":
    case "hidden":
    case "expired":
      return undefined;
    case undefined:
      return "s3:ObjectCreated:Put";
  }
}
