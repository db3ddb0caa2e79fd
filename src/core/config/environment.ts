import type { z } from "zod";
import { infoOf, type FieldInfo, type FieldKind, type ItemsInfo, type NodeInfo } from "./fields.ts";
import { nearestName } from "./nearest.ts";
import { fieldsOf, isRecord, type Path, pathText, valueAt } from "./walk.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

export interface Override {
  readonly name: string;
  readonly path: Path;
  readonly info: FieldInfo;
}

/** Environment variables that stand for fields: `GLOBALFS_` and the field's path in capitals, joined by underscores. */
export function environmentNames(schema: z.ZodType, root: unknown, prefix: string): Override[] {
  const found: Override[] = [];
  const go = (info: NodeInfo, value: unknown, path: Path, name: string): void => {
    if (info.node === "field") found.push({ name, path, info });
    else if (info.node === "items") goItems(info, value, path, name);
    else {
      for (const [key, inner] of Object.entries(fieldsOf(info, value))) {
        go(infoOf(inner), valueAt(value, [key]), [...path, key], `${name}_${capitals(key)}`);
      }
    }
  };
  const goItems = (info: ItemsInfo, value: unknown, path: Path, name: string): void => {
    const { nameField } = info;
    if (nameField === undefined || !Array.isArray(value)) return;
    value.forEach((item: unknown, index) => {
      const itemName = isRecord(item) ? item[nameField] : undefined;
      if (typeof itemName !== "string") return;
      go(infoOf(info.item), item, [...path, index], `${name}_${capitals(itemName)}`);
    });
  };
  go(infoOf(schema), root, [], prefix);
  return found;
}

function capitals(name: string): string {
  return name.toUpperCase().replaceAll("-", "_");
}

/** A copy of `root` with the environment's values in place, and for each where it came from. */
export function applyEnvironment(
  schema: z.ZodType,
  root: Record<string, unknown>,
  environment: Environment,
  prefix: string,
): { readonly root: Record<string, unknown>; readonly from: ReadonlyMap<string, string> } {
  const copy = structuredClone(root);
  const from = new Map<string, string>();
  for (const { name, path, info } of environmentNames(schema, root, prefix)) {
    const value = environment[name];
    if (value === undefined || value === "") continue;
    if (setAt(copy, path, fromText(info.kind, value))) from.set(pathText(path), name);
  }
  return { root: copy, from };
}

/** Leaves text that does not fit as it is, so that validation can say what is wrong with it. */
function fromText(kind: FieldKind, value: string): unknown {
  if (kind === "flag") {
    const lower = value.toLowerCase();
    if (["true", "1", "yes", "on"].includes(lower)) return true;
    if (["false", "0", "no", "off"].includes(lower)) return false;
  }
  if ((kind === "count" || kind === "number") && /^-?\d+(\.\d+)?$/.test(value.trim())) return Number(value);
  if (kind === "texts") {
    return value
      .split(",")
      .map((item) => item.trim())
      .filter((item) => item !== "");
  }
  return value;
}

/** False where something of the wrong shape stands in the way; validation reports that. */
function setAt(root: Record<string, unknown>, path: Path, value: unknown): boolean {
  let parent: unknown = root;
  for (const [index, step] of path.entries()) {
    const last = index === path.length - 1;
    if (Array.isArray(parent) && typeof step === "number" && !last) parent = parent[step];
    else if (isRecord(parent) && typeof step === "string") {
      if (last) {
        parent[step] = value;
        return true;
      }
      parent[step] ??= {};
      parent = parent[step];
    } else return false;
  }
  return false;
}

/** A sentence for each variable that looks like a field but is none: a setting that silently does nothing helps nobody. */
export function strayVariables(
  schema: z.ZodType,
  root: unknown,
  environment: Environment,
  prefix: string,
  alsoKnown: readonly string[],
): string[] {
  const known = [...environmentNames(schema, root, prefix).map(({ name }) => name), ...alsoKnown];
  const info = infoOf(schema);
  const starts = info.node === "section" ? Object.keys(info.fields).map((key) => `${prefix}_${capitals(key)}_`) : [];
  const warnings: string[] = [];
  for (const name of Object.keys(environment)) {
    if (known.includes(name) || !starts.some((start) => name.startsWith(start))) continue;
    const near = nearestName(name, known);
    warnings.push(
      `The environment variable ${name} has no effect${near === undefined ? "." : `; did you mean ${near}?`}`,
    );
  }
  return warnings;
}
