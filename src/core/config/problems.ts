import type { z } from "zod";
import { GfsError } from "../errors.ts";
import type { FieldInfo, NodeInfo } from "./fields.ts";
import { nearestName } from "./nearest.ts";
import { fieldsOf, infoAt, isRecord, type Path, pathText, valueAt } from "./walk.ts";

/** One thing that is wrong; the message names the place. */
export interface ConfigProblem {
  readonly line?: number | undefined;
  readonly message: string;
}

/** Finds where a value was written. */
export interface ConfigOrigin {
  lineOf(path: Path): number | undefined;
  /** By `pathText`: the environment variable that gave the value. */
  readonly environment: ReadonlyMap<string, string>;
}

export function problemAt(origin: ConfigOrigin, path: Path, message: string): ConfigProblem {
  const variable = origin.environment.get(pathText(path));
  if (variable !== undefined) return { message: `${variable}: ${message}` };
  return { line: origin.lineOf(path), message };
}

/** Translates what zod found into sentences. */
export function problemsOf(schema: z.ZodType, root: unknown, error: z.ZodError, origin: ConfigOrigin): ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  const said = new Set<string>();
  for (const issue of error.issues) {
    const path = issue.path as Path;
    if (issue.code === "unrecognized_keys") {
      for (const key of issue.keys) {
        problems.push(problemAt(origin, [...path, key], unknownKey(schema, root, path, key)));
      }
      continue;
    }
    const at = fieldPath(schema, root, path);
    if (said.has(pathText(at))) continue;
    said.add(pathText(at));
    problems.push(problemAt(origin, at, wrongValue(schema, root, at, issue)));
  }
  return problems;
}

function unknownKey(schema: z.ZodType, root: unknown, path: Path, key: string): string {
  const info = infoAt(schema, root, path);
  const known = info === undefined ? [] : Object.keys(fieldsOf(info, valueAt(root, path)));
  const where = path.length === 0 ? "" : ` in ${pathText(path)}`;
  const near = nearestName(key, known);
  const hint = near === undefined ? `; known are ${known.join(", ")}` : `; did you mean \`${near}\`?`;
  return `unknown key \`${key}\`${where}${hint}`;
}

/** A wrong item of a list of text is reported at the list, which has the description. */
function fieldPath(schema: z.ZodType, root: unknown, path: Path): Path {
  for (let length = path.length; length > 0; length--) {
    const shorter = path.slice(0, length);
    if (infoAt(schema, root, shorter) !== undefined) return shorter;
    const parent = infoAt(schema, root, path.slice(0, length - 1));
    if (parent?.node === "variants" && path[length - 1] === parent.by) return shorter;
  }
  return path;
}

function wrongValue(schema: z.ZodType, root: unknown, path: Path, issue: z.core.$ZodIssue): string {
  const value = valueAt(root, path);
  const info = infoAt(schema, root, path);
  const parent = infoAt(schema, root, path.slice(0, -1));
  const name = `\`${pathText(path)}\``;
  if (parent?.node === "variants" && path.at(-1) === parent.by) {
    const known = Object.keys(parent.options);
    const near = typeof value === "string" ? nearestName(value, known) : undefined;
    return `${name} must be one of ${known.join(", ")}${value === undefined ? "" : `, but it is ${shown(value)}`}${near === undefined ? "" : `; did you mean \`${near}\`?`}`;
  }
  if (value === undefined) return `${name} is missing; expected ${expectation(info)}`;
  const stated = issue.code === "custom" && issue.message !== "Invalid input" && issue.params?.["bounds"] !== true;
  if (stated) return `${name}: ${issue.message}`;
  const hidden = info?.node === "field" && info.secret;
  return `${name} must be ${expectation(info)}${hidden ? "" : `, but it is ${shown(value)}`}`;
}

function expectation(info: NodeInfo | undefined): string {
  if (info === undefined) return "something else";
  if (info.node === "field") return (info satisfies FieldInfo).expected;
  if (info.node === "items") return "a list";
  const fields = info.node === "section" ? Object.keys(info.fields) : [info.by];
  return `a map with ${fields.join(", ")}`;
}

function shown(value: unknown): string {
  if (Array.isArray(value))
    return value.length === 0 ? "an empty list" : `[${value.map(shown).join(", ")}]`.slice(0, 80);
  if (isRecord(value)) return "a map";
  if (typeof value === "string") return value === "" ? "empty" : `"${value.slice(0, 60)}"`;
  return String(value);
}

/** All of it in one error, in the order of the file. */
export function configError(label: string, problems: readonly ConfigProblem[]): GfsError {
  const sorted = problems.toSorted((left, right) => (left.line ?? 0) - (right.line ?? 0));
  const lines = sorted.map(({ line, message }) => (line === undefined ? message : `line ${line}: ${message}`));
  const title = lines.length === 1 ? "one error" : `${lines.length} errors`;
  return new GfsError("ConfigInvalid", `The configuration ${label} has ${title}:\n  ${lines.join("\n  ")}`, {
    op: "config.load",
    context: { problems: sorted.map(({ line, message }) => ({ ...(line === undefined ? {} : { line }), message })) },
  });
}
