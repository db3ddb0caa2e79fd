import { FINEST_BLOCK_BYTES, type BlockSums } from "../core/block-sums.ts";
import type { ContentChecksum, FileVersion, VersionDetails } from "./types.ts";

/** The checksum of all bytes of a version, whoever asked for it. */
export function sumOfWhole({
  details,
}: {
  readonly details?: VersionDetails | undefined;
}): ContentChecksum | undefined {
  return details?.checksum?.kind === "full" ? details.checksum : details?.wholeChecksum;
}

/** What a version keeps of the sums of its blocks: nothing where it is empty, or has one block, whose sum is that of the whole. */
export function keptBlocks(blocks: BlockSums, whole: ContentChecksum | undefined): Pick<FileVersion, "blocks"> {
  if (blocks.runs.length === 0) return {};
  const only = blocks.runs.length === 1 && Buffer.byteLength(blocks.sums, "base64") <= 4;
  return only && isSumOfBlock(whole) ? {} : { blocks };
}

/** The sums that any piece of it can be held against. */
export function blocksOf(version: FileVersion): BlockSums | undefined {
  const { blocks, sizeBytes } = version;
  if (blocks !== undefined) return blocks;
  const whole = sumOfWhole(version);
  if (sizeBytes === 0 || sizeBytes > FINEST_BLOCK_BYTES || !isSumOfBlock(whole)) return undefined;
  return { runs: [{ count: 1, sizeBytes, blockBytes: FINEST_BLOCK_BYTES }], sums: whole.value };
}

function isSumOfBlock(whole: ContentChecksum | undefined): whole is ContentChecksum {
  return whole?.algorithm === "CRC32C" && whole.kind === "full";
}
