import { EMPTY, JSON_TEXT, namespaceSpaces, type RowSpace, TEXT } from "../namespace/index.ts";

/** Every space of the catalog. A row of another one is what this release does not know. */
export const SPACES: readonly RowSpace[] = [
  ...namespaceSpaces,
  { name: "j", key: ["string"], value: JSON_TEXT },
  { name: "jr", key: ["number", "string"], value: EMPTY },
  { name: "jd", key: ["number", "string"], value: EMPTY },
  { name: "jl", key: ["string", "string", "string"], value: EMPTY },
  { name: "jf", key: ["number", "string"], value: TEXT },
  { name: "jh", key: ["string"], value: EMPTY },
  { name: "jp", key: [], value: JSON_TEXT },
  { name: "ju", key: ["number", "string"], value: JSON_TEXT },
  { name: "k", key: ["tail"], value: JSON_TEXT },
  { name: "coordinator-site", key: ["string"], value: JSON_TEXT },
  { name: "coordinator-sweep", key: ["string"], value: JSON_TEXT },
  { name: "coordinator-upload", key: ["string", "string"], value: JSON_TEXT },
  { name: "coordinator-place", key: ["string"], value: JSON_TEXT },
  { name: "coordinator-publishing", key: ["number"], value: TEXT },
  { name: "coordinator-feed", key: ["tail"], value: TEXT },
  { name: "coordinator-lifecycle", key: ["string"], value: JSON_TEXT },
  { name: "coordinator-set-aside", key: ["string", "tail"], value: JSON_TEXT },
  { name: "coordinator-set-aside-age", key: ["string", "tail"], value: TEXT },
  { name: "coordinator-set-aside-bytes", key: ["tail"], value: TEXT },
  { name: "coordinator-set-aside-key", key: ["tail"], value: EMPTY },
  { name: "coordinator-import", key: ["string"], value: JSON_TEXT },
  { name: "coordinator-backup", key: [], value: JSON_TEXT },
  { name: "rebuild-found", key: ["string", "string", "string", "tail"], value: EMPTY, isFleeting: true },
  { name: "rebuild-object", key: ["string", "tail"], value: JSON_TEXT, isFleeting: true },
  { name: "rebuild-state", key: ["tail"], value: TEXT, isFleeting: true },
  { name: "es", key: ["tail"], value: JSON_TEXT, isFleeting: true },
  { name: "ec", key: ["tail"], value: JSON_TEXT, isFleeting: true },
  { name: "el", key: ["tail"], value: EMPTY, isFleeting: true },
  { name: "ei", key: ["number", "tail"], value: EMPTY, isFleeting: true },
  { name: "ea", key: ["tail"], value: TEXT, isFleeting: true },
  { name: "er", key: ["number", "tail"], value: JSON_TEXT, isFleeting: true },
  { name: "ew", key: ["number", "number"], value: JSON_TEXT, isFleeting: true },
  { name: "ek", key: ["number", "string", "string", "tail"], value: JSON_TEXT, isFleeting: true },
  { name: "em", key: ["string", "number", "string", "tail"], value: EMPTY, isFleeting: true },
  { name: "en", key: ["number", "string", "number"], value: JSON_TEXT, isFleeting: true },
  { name: "eo", key: ["string", "string", "number", "tail"], value: EMPTY, isFleeting: true },
  { name: "coordinator-leader", key: [], value: TEXT, isFleeting: true },
];

const byName = new Map(SPACES.map((space) => [space.name, space]));

export function findSpace(name: string): RowSpace | undefined {
  return byName.get(name);
}
