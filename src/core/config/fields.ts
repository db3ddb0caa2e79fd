/**
 * What configuration is made of. Each field is a zod schema that carries its description: kind, help, default, secrecy.
 * From the descriptions come validation messages, environment names, the reference page and the redacted dump.
 */
import { z } from "zod";
import { formatDuration, parseDurationMs, parseSizeBytes } from "../units.ts";

export type FieldKind = "text" | "choice" | "flag" | "count" | "number" | "duration" | "size" | "texts";

export interface FieldInfo {
  readonly node: "field";
  readonly kind: FieldKind;
  readonly help: string;
  /** Completes "expected ...". */
  readonly expected: string;
  readonly defaultText?: string;
  readonly required: boolean;
  readonly secret: boolean;
  /** Accepted because the documented format has it; a value other than the default gives a warning. */
  readonly reserved: boolean;
}

export interface SectionInfo {
  readonly node: "section";
  readonly help: string;
  readonly fields: Readonly<Record<string, z.ZodType>>;
}

export interface ItemsInfo {
  readonly node: "items";
  readonly help: string;
  readonly item: z.ZodType;
  /** The field that names an item, when environment variables may address it. */
  readonly nameField?: string;
}

export interface VariantsInfo {
  readonly node: "variants";
  readonly help: string;
  readonly by: string;
  readonly options: Readonly<Record<string, Readonly<Record<string, z.ZodType>>>>;
}

export type NodeInfo = FieldInfo | SectionInfo | ItemsInfo | VariantsInfo;

const described = new WeakMap<z.ZodType, NodeInfo>();

function describe<S extends z.ZodType>(schema: S, info: NodeInfo): S {
  described.set(schema, info);
  return schema;
}

export function infoOf(schema: z.ZodType): NodeInfo {
  const info = described.get(schema);
  if (info === undefined) throw new Error("A part of the configuration schema was made without its description.");
  return info;
}

interface FieldOptions {
  readonly secret?: true;
  readonly reserved?: true;
}

function field<S extends z.ZodType>(
  schema: S,
  kind: FieldKind,
  expected: string,
  help: string,
  options: FieldOptions,
): S {
  return describe(schema, {
    node: "field",
    kind,
    help,
    expected,
    required: true,
    secret: options.secret === true,
    reserved: options.reserved === true,
  });
}

export function text(
  help: string,
  options: FieldOptions & { readonly pattern?: RegExp; readonly expected?: string } = {},
): z.ZodString {
  const schema = options.pattern === undefined ? z.string().min(1) : z.string().regex(options.pattern);
  return field(schema, "text", options.expected ?? "text", help, options);
}

/** Text that may be empty, where empty says something. */
export function anyText(help: string, options: FieldOptions = {}): z.ZodString {
  return field(z.string(), "text", "text", help, options);
}

export function choice<const T extends readonly [string, ...string[]]>(
  values: T,
  help: string,
  options: FieldOptions = {},
): z.ZodEnum<{ [K in T[number]]: K }> {
  return field(z.enum(values), "choice", `one of ${values.join(", ")}`, help, options);
}

export function flag(help: string, options: FieldOptions = {}): z.ZodBoolean {
  return field(z.boolean(), "flag", "true or false", help, options);
}

export function count(help: string, limits: FieldOptions & { readonly min: number; readonly max: number }): z.ZodInt {
  const schema = z.int().min(limits.min).max(limits.max);
  return field(schema, "count", `a whole number from ${limits.min} to ${limits.max}`, help, limits);
}

export function decimal(
  help: string,
  limits: FieldOptions & { readonly min: number; readonly max: number },
): z.ZodNumber {
  const schema = z.number().min(limits.min).max(limits.max);
  return field(schema, "number", `a number from ${limits.min} to ${limits.max}`, help, limits);
}

const written = z.union([z.string(), z.number()]);

function measured(parse: (value: string) => number, limits: { readonly min?: number; readonly max?: number }) {
  return written.transform((value, context) => {
    try {
      const amount = parse(String(value));
      if (amount < (limits.min ?? 0) || amount > (limits.max ?? Number.MAX_SAFE_INTEGER)) {
        context.addIssue({ code: "custom", message: "out of bounds", params: { bounds: true } });
        return z.NEVER;
      }
      return amount;
    } catch (error) {
      context.addIssue({ code: "custom", message: (error as Error).message });
      return z.NEVER;
    }
  });
}

export function duration(
  help: string,
  options: FieldOptions & { readonly minMs?: number; readonly maxMs?: number } = {},
) {
  const maxMs = options.maxMs ?? 365 * 86_400_000;
  const minMs = options.minMs ?? 0;
  const expected = `a duration from ${formatDuration(minMs)} to ${formatDuration(maxMs)}, such as 30s`;
  return field(measured(parseDurationMs, { min: minMs, max: maxMs }), "duration", expected, help, options);
}

export function size(
  help: string,
  options: FieldOptions & { readonly minBytes?: number; readonly maxBytes?: number } = {},
) {
  const maxText = options.maxBytes === undefined ? "" : ` and at most ${options.maxBytes}`;
  const expected = `a size in bytes of at least ${options.minBytes ?? 0}${maxText}, such as 1048576 or 64MiB`;
  const limits = { min: options.minBytes ?? 0, ...(options.maxBytes === undefined ? {} : { max: options.maxBytes }) };
  return field(measured(parseSizeBytes, limits), "size", expected, help, options);
}

export function texts(help: string, options: FieldOptions & { readonly of?: readonly string[] } = {}) {
  const { of } = options;
  const item = of === undefined ? z.string().min(1) : z.string().refine((value) => of.includes(value));
  const expected = of === undefined ? "a list of text" : `a list of ${of.join(", ")}`;
  return field(z.array(item), "texts", expected, help, options);
}

/** The value that stands when nothing is written. */
export function withDefault<S extends z.ZodType>(schema: S, value: z.output<S>, defaultText?: string): z.ZodDefault<S> {
  const info = infoOf(schema) as FieldInfo;
  return describe(schema.default(value as never), {
    ...info,
    required: false,
    defaultText: defaultText ?? defaultAsText(info.kind, value),
  });
}

function defaultAsText(kind: FieldKind, value: unknown): string {
  if (kind === "duration") return formatDuration(value as number);
  if (kind === "texts") return `[${(value as readonly string[]).join(", ")}]`;
  return String(value);
}

export function optional<S extends z.ZodType>(schema: S): z.ZodOptional<S> {
  const info = infoOf(schema);
  return describe(schema.optional(), info.node === "field" ? { ...info, required: false } : info);
}

/** A map of known names; unknown ones are refused. */
export function section<T extends Record<string, z.ZodType>>(help: string, fields: T) {
  return describe(z.strictObject(fields), { node: "section", help, fields });
}

/** A section that stands with its defaults when it is not written. */
export function presentSection<T extends Record<string, z.ZodType>>(help: string, fields: T) {
  return describe(z.strictObject(fields).prefault({} as never), { node: "section", help, fields });
}

export function items<S extends z.ZodType>(help: string, item: S, options: { readonly nameField?: string } = {}) {
  return describe(z.array(item).default([]), { node: "items", help, item, ...options });
}

/** A section whose `by` field says which other fields there are. */
export function variants<T extends z.ZodType>(
  help: string,
  schema: T,
  by: string,
  options: VariantsInfo["options"],
): T {
  return describe(schema, { node: "variants", help, by, options });
}
