import type { Disk } from "../../../../core/ports/disk.ts";
import { errnoOf, NO_SUCH_DIRECTORY } from "../failures.ts";
import type { Layout } from "../layout.ts";
import { ATTRIBUTE, decodeRecord, encodeRecord } from "../object-record.ts";
import type { Placing } from "../placing.ts";
import { nextStagingName } from "../writing.ts";
import { filesAt, type FoundFile, instanceOf } from "./instance.ts";
import { type IntakeRecord, readRecord, recordsOf, type SegmentHeader } from "./record-codec.ts";
import { readHeader } from "./segment.ts";
import { openSegments, removeSegments } from "./settling.ts";

export interface ReplayDeps {
  readonly disk: Disk;
  readonly layout: Layout;
  readonly placing: Pick<Placing, "bring" | "takeAway">;
}

type Put = Extract<IntakeRecord, { kind: "put" }>;

interface Position {
  readonly path: string;
  readonly header: SegmentHeader;
  readonly offset: number;
  readonly end: number;
}

/** What the records say of one key. */
interface Story {
  /** Files that had the key's place in the time that the segments tell of: what else lies there was put there by somebody else since. */
  readonly known: Set<string>;
  /** In order, less those that were canceled. */
  readonly records: { readonly sequence: number; readonly kind: IntakeRecord["kind"]; readonly at: Position }[];
}

/**
 * After power was lost: makes again what segments speak of and the disk has not kept. Of each key the last record counts. A file that is there whole is
 * left, one of ours that is torn, or older than the record, gives way, and what another tool has put there is never touched. Nothing of ours gets its
 * place before its bytes are durable, and the segments go last, so that this can be interrupted and begun again.
 */
export async function replaySegments(deps: ReplayDeps): Promise<void> {
  const { disk, layout } = deps;
  const paths = await openSegments(disk, layout.intake);
  if (paths.length === 0) return;
  const { stories, doubted } = await readStories(disk, paths);
  const remade: { readonly key: string; readonly path: string }[] = [];
  for (const [key, story] of stories) {
    const last = story.records.at(-1);
    if (last === undefined || last.kind === "forget") continue;
    const { plain, beside } = layout.pathsOf(key);
    const [found] = await filesAt(disk, [plain, beside]);
    if (found !== undefined && !story.known.has(instanceOf(found.stat))) continue;
    if (last.kind === "delete") {
      if (found !== undefined) await deps.placing.takeAway(key);
      continue;
    }
    const put = (await readAt(disk, last.at)) as Put;
    if (found !== undefined && !doubted && (await isAsWritten(disk, found, put))) continue;
    if (found !== undefined && isEdited(found, put)) continue;
    remade.push({ key, path: await makeAgain(deps, put) });
  }
  const anchor = await disk.open(paths[0] as string, "read");
  try {
    if (remade.length > 0) await anchor.syncFileSystem();
    for (const { key, path } of remade) {
      await deps.placing.bring(key, path).catch(async (error: unknown) => {
        // Somebody has put a link, or what is no directory, where one of its directories was.
        if (!NO_SUCH_DIRECTORY.has(errnoOf(error) ?? "")) throw error;
        await disk.unlink(path);
      });
    }
    await anchor.syncFileSystem();
  } finally {
    await anchor.close();
  }
  await removeSegments(disk, layout.intake, paths);
}

async function readStories(
  disk: Disk,
  paths: readonly string[],
): Promise<{ stories: Map<string, Story>; doubted: boolean }> {
  const found: { readonly path: string; readonly header: SegmentHeader }[] = [];
  for (const path of paths) {
    const { header } = await readSegment(disk, path);
    if (header !== undefined) found.push({ path, header });
  }
  found.sort((one, other) => one.header.firstSequence - other.header.firstSequence);
  const stories = new Map<string, Story>();
  const keyOf = new Map<number, string>();
  for (const { path } of found) {
    const { header, bytes } = await readSegment(disk, path);
    if (header === undefined) continue;
    for (const { sequence, record, offset, end } of recordsOf(bytes, header)) {
      if (record.kind === "cancel") {
        cancel(stories.get(keyOf.get(record.sequence) ?? ""), record.sequence);
        continue;
      }
      keyOf.set(sequence, record.key);
      const story = stories.get(record.key) ?? { known: new Set(), records: [] };
      stories.set(record.key, story);
      // One that is to be new, where something lay, was not made, whether that was noted or not.
      if (record.kind === "put" && record.replaced === undefined && story.records.at(-1)?.kind === "put") continue;
      if (record.kind === "put") story.known.add(record.file);
      if (record.kind !== "forget") for (const each of record.replaced ?? []) story.known.add(each);
      story.records.push({ sequence, kind: record.kind, at: { path, header, offset, end } });
    }
  }
  return { stories, doubted: found.some(({ header }) => header.state === "doubted") };
}

function cancel(story: Story | undefined, sequence: number): void {
  const index = story?.records.findIndex((each) => each.sequence === sequence) ?? -1;
  if (index !== -1) story?.records.splice(index, 1);
}

/** A segment is small enough to be held as a whole, one at a time. */
async function readSegment(
  disk: Disk,
  path: string,
): Promise<{ readonly header: SegmentHeader | undefined; readonly bytes: Buffer }> {
  const file = await disk.open(path, "read");
  try {
    const header = await readHeader(file);
    const bytes = Buffer.allocUnsafe((await file.stat()).sizeBytes);
    return { header, bytes: bytes.subarray(0, await file.read(bytes, 0)) };
  } finally {
    await file.close();
  }
}

async function readAt(disk: Disk, { path, header, offset, end }: Position): Promise<IntakeRecord> {
  const file = await disk.open(path, "read");
  try {
    const bytes = Buffer.allocUnsafe(end - offset);
    await file.read(bytes, offset);
    const found = readRecord(bytes, 0, header.id);
    if (found === undefined) throw Object.assign(new Error(`${path} cannot be read again.`), { code: "EIO" });
    return found.record;
  } finally {
    await file.close();
  }
}

async function isAsWritten(disk: Disk, { path, stat }: FoundFile, put: Put): Promise<boolean> {
  if (instanceOf(stat) !== put.file || stat.sizeBytes !== put.bytes.byteLength) return false;
  if (stat.modifiedNs !== put.modifiedNs) return false;
  const file = await disk.open(path, "read");
  try {
    const attribute = await file.getAttribute(ATTRIBUTE);
    if (attribute === undefined || !Buffer.from(attribute).equals(put.attribute)) return false;
    const bytes = Buffer.allocUnsafe(stat.sizeBytes);
    return (await file.read(bytes, 0)) === bytes.length && bytes.equals(put.bytes);
  } finally {
    await file.close();
  }
}

/** Whoever has written into it in its place is not undone. An empty file is what is left of one that was never flushed. */
function isEdited({ stat }: FoundFile, put: Put): boolean {
  return instanceOf(stat) === put.file && stat.sizeBytes > 0 && BigInt(stat.modifiedNs) > BigInt(put.modifiedNs);
}

async function makeAgain({ disk, layout }: ReplayDeps, put: Put): Promise<string> {
  const path = `${layout.staging}/${nextStagingName()}`;
  const file = await disk.open(path, "create");
  try {
    if (put.bytes.byteLength > 0) await file.write([put.bytes], 0);
    const stat = await file.stat();
    const record = decodeRecord(put.attribute, { ...stat, modifiedNs: put.modifiedNs });
    if (record !== undefined)
      await file.setAttribute(ATTRIBUTE, encodeRecord({ ...record, modifiedNs: stat.modifiedNs }));
    return path;
  } finally {
    await file.close();
  }
}
