/** The bytes of one number in a structure of the kernel. */
const SCALAR_BYTES = { u16: 2, u32: 4, i32: 4, u64: 8, i64: 8 } as const;

type Scalar = keyof typeof SCALAR_BYTES;
type FieldType = Scalar | Struct<string> | readonly [Scalar, number];

/** Where the fields of a C structure are. The names are those of the kernel's header, so that the two can be read side by side. */
export interface Struct<Field extends string> {
  readonly name: string;
  readonly sizeBytes: number;
  /** The offset of each field in bytes. */
  readonly at: Readonly<Record<Field, number>>;
}

/**
 * Declares a structure by its fields, in order. The kernel's structures have no hidden padding: a field that is not aligned to its own
 * size, or a size that is no multiple of the largest field, is a mistake in the declaration and throws.
 */
export function struct<Field extends string>(name: string, fields: Readonly<Record<Field, FieldType>>): Struct<Field> {
  const at: Record<string, number> = {};
  let offset = 0;
  let alignment = 1;
  for (const [field, type] of Object.entries<FieldType>(fields)) {
    const { bytes, align } = extent(type);
    if (offset % align !== 0) throw new Error(`${name}.${field} is not aligned: it would be at ${offset}.`);
    at[field] = offset;
    offset += bytes;
    alignment = Math.max(alignment, align);
  }
  if (offset % alignment !== 0) throw new Error(`${name} has a size of ${offset}, no multiple of ${alignment}.`);
  return { name, sizeBytes: offset, at: at as Record<Field, number> };
}

function extent(type: FieldType): { readonly bytes: number; readonly align: number } {
  if (typeof type === "string") return { bytes: SCALAR_BYTES[type], align: SCALAR_BYTES[type] };
  if ("sizeBytes" in type) return { bytes: type.sizeBytes, align: type.sizeBytes % 8 === 0 ? 8 : 4 };
  const [scalar, count] = type;
  return { bytes: SCALAR_BYTES[scalar] * count, align: SCALAR_BYTES[scalar] };
}
