import type { Struct } from "../protocol/layout.ts";
import { InHeader } from "../protocol/structs-in.ts";

/** Builds requests as the kernel would, for tests. */
export function requestBytes(
  opcode: number,
  body: Buffer,
  header: { readonly unique?: bigint; readonly inode?: bigint; readonly extensionBytes?: number } = {},
): Buffer {
  const bytes = Buffer.alloc(InHeader.sizeBytes + body.length);
  const { at } = InHeader;
  bytes.writeUInt32LE(bytes.length, at.len);
  bytes.writeUInt32LE(opcode, at.opcode);
  bytes.writeBigUInt64LE(header.unique ?? 2n, at.unique);
  bytes.writeBigUInt64LE(header.inode ?? 1n, at.nodeid);
  bytes.writeUInt16LE((header.extensionBytes ?? 0) / 8, at.total_extlen);
  body.copy(bytes, InHeader.sizeBytes);
  return bytes;
}

/** A structure with some of its fields set: numbers as 32 bits, bigints as 64. */
export function structBytes<Field extends string>(
  struct: Struct<Field>,
  fields: Readonly<Partial<Record<Field, number | bigint>>>,
): Buffer {
  const bytes = Buffer.alloc(struct.sizeBytes);
  for (const [field, value] of Object.entries(fields) as [Field, number | bigint][]) {
    if (typeof value === "bigint") bytes.writeBigUInt64LE(value, struct.at[field]);
    else bytes.writeUInt32LE(value, struct.at[field]);
  }
  return bytes;
}
