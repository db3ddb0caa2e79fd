import { stringify } from "yaml";
import type { z } from "zod";
import { formatDuration } from "../units.ts";
import { type FieldInfo, infoOf } from "./fields.ts";
import { fieldsOf, valueAt } from "./walk.ts";

export const REDACTED = "(redacted)";

/** The values that hold, shaped and written as in a configuration file; secrets only when `secrets` is true. */
export function resolvedTree(schema: z.ZodType, values: unknown, options: { readonly secrets: boolean }): unknown {
  const info = infoOf(schema);
  if (values === undefined) return undefined;
  if (info.node === "field") return fieldValue(info, values, options.secrets);
  if (info.node === "items") {
    return (values as readonly unknown[]).map((item) => resolvedTree(info.item, item, options));
  }
  const tree: Record<string, unknown> = {};
  for (const [name, inner] of Object.entries(fieldsOf(info, values))) {
    const value = resolvedTree(inner, valueAt(values, [name]), options);
    if (value !== undefined) tree[name] = value;
  }
  return tree;
}

function fieldValue(info: FieldInfo, value: unknown, secrets: boolean): unknown {
  if (info.secret && !secrets) return REDACTED;
  if (info.kind === "duration") return formatDuration(value as number);
  return value;
}

export function renderYaml(tree: unknown): string {
  return stringify(tree, { lineWidth: 120 });
}
