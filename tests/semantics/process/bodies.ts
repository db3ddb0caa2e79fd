/** A body of its own for each name; some are larger than one piece on the disk. */
export function bodyOf(name: string): Buffer {
  const sizeBytes = name.endsWith("5") ? 200_000 : 500;
  return Buffer.alloc(sizeBytes, `${name};`);
}
