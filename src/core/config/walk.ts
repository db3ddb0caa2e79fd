import type { z } from "zod";
import { type FieldInfo, infoOf, type NodeInfo } from "./fields.ts";

export type Path = readonly (string | number)[];

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** `sites[1].store.path` */
export function pathText(path: Path): string {
  return path.map((step, index) => (typeof step === "number" ? `[${step}]` : index === 0 ? step : `.${step}`)).join("");
}

export function valueAt(root: unknown, path: Path): unknown {
  let value = root;
  for (const step of path) {
    if (Array.isArray(value) && typeof step === "number") value = value[step] as unknown;
    else if (isRecord(value) && Object.hasOwn(value, String(step))) value = value[String(step)];
    else return undefined;
  }
  return value;
}

/** The names that may stand in `info` where `value` is written. */
export function fieldsOf(info: NodeInfo, value: unknown): Readonly<Record<string, z.ZodType>> {
  if (info.node === "section") return info.fields;
  if (info.node !== "variants") return {};
  const chosen = isRecord(value) ? info.options[String(value[info.by])] : undefined;
  return chosen ?? {};
}

/** The description of what may stand at `path`; undefined when nothing may. `root` chooses between variants. */
export function infoAt(schema: z.ZodType, root: unknown, path: Path): NodeInfo | undefined {
  let info: NodeInfo = infoOf(schema);
  let value = root;
  for (const step of path) {
    let next: z.ZodType | undefined;
    if (info.node === "items") next = info.item;
    else {
      const fields = fieldsOf(info, value);
      next = Object.hasOwn(fields, String(step)) ? fields[String(step)] : undefined;
    }
    if (next === undefined) return undefined;
    value = valueAt(value, [step]);
    info = infoOf(next);
  }
  return info;
}

/** Calls back for every field that may be written, list items as they are in `root`. */
export function visitFields(
  schema: z.ZodType,
  root: unknown,
  visit: (path: Path, info: FieldInfo, value: unknown) => void,
): void {
  const go = (schema: z.ZodType, value: unknown, path: Path): void => {
    const info = infoOf(schema);
    if (info.node === "field") visit(path, info, value);
    else if (info.node === "items") {
      if (Array.isArray(value)) value.forEach((item: unknown, index) => go(info.item, item, [...path, index]));
    } else {
      for (const [name, inner] of Object.entries(fieldsOf(info, value))) {
        go(inner, valueAt(value, [name]), [...path, name]);
      }
    }
  };
  go(schema, root, []);
}
