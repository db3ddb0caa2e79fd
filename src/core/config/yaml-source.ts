import { type Document, isMap, isNode, isScalar, LineCounter, type Node, parseDocument } from "yaml";
import { GfsError } from "../errors.ts";
import type { ConfigProblem } from "./problems.ts";
import { isRecord, type Path } from "./walk.ts";

/** A YAML text that remembers where each value stood. */
export interface YamlSource {
  readonly root: Record<string, unknown>;
  /** The line of what `path` names, or of the nearest thing around it. */
  lineOf(path: Path): number | undefined;
  readonly problems: readonly ConfigProblem[];
}

export function parseYamlSource(content: string): YamlSource {
  const lines = new LineCounter();
  const document = parseDocument(content, { lineCounter: lines, prettyErrors: false });
  const problems: ConfigProblem[] = document.errors.map((error) => ({
    line: lines.linePos(error.pos[0]).line,
    message: `not valid YAML: ${error.message}`,
  }));
  let value: unknown;
  if (problems.length === 0) {
    try {
      value = document.toJS({ maxAliasCount: 100 }) as unknown;
    } catch (error) {
      throw new GfsError("ConfigInvalid", `The configuration cannot be read: ${(error as Error).message}.`, {
        cause: error,
      });
    }
  }
  const root = withoutEmpty(value ?? {});
  if (!isRecord(root)) {
    problems.push({ line: 1, message: "the configuration must be a map of sections, such as `coordinator:`" });
  }
  return { root: isRecord(root) ? root : {}, lineOf: (path) => lineOf(document, lines, path), problems };
}

/** `cache:` with nothing under it says as much as no `cache` at all. */
function withoutEmpty(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutEmpty);
  if (!isRecord(value)) return value;
  const kept = Object.entries(value).filter(([, inner]) => inner !== null);
  return Object.fromEntries(kept.map(([name, inner]) => [name, withoutEmpty(inner)]));
}

function lineOf(document: Document.Parsed, lines: LineCounter, path: Path): number | undefined {
  for (let length = path.length; length > 0; length--) {
    const node = keyNode(document, path.slice(0, length));
    if (node?.range) return lines.linePos(node.range[0]).line;
  }
  return undefined;
}

/** The key that leads to a value says best where to look; items of lists have none. */
function keyNode(document: Document.Parsed, path: Path): Node | undefined {
  const last = path.at(-1) as string | number;
  const parent = path.length === 1 ? document.contents : document.getIn(path.slice(0, -1), true);
  if (isMap(parent)) {
    const pair = parent.items.find(({ key }) => isScalar(key) && key.value === last);
    if (pair !== undefined) return pair.key as Node;
  }
  const node = document.getIn([...path], true);
  return isNode(node) ? node : undefined;
}
