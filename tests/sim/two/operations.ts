import type { Coordinator } from "../../../src/coordinator/index.ts";
import { rigCtx } from "../../../src/coordinator/testing/rig.ts";
import type { Random } from "../../../src/core/ports/random.ts";
import { type Answer, below, bodyOf } from "./pair.ts";

export type Files = ReadonlyMap<string, string>;

/** Something that a user does, and what it may leave of the files that were there; nothing where it cannot have been done to them. */
export interface Operation {
  readonly what: string;
  run(coordinator: Coordinator): Promise<unknown>;
  /** `ever`: what the keys had at some moment since it was begun. */
  apply(files: Files, ever: readonly Files[]): readonly Files[];
}

const DIRECTORIES = ["d", "e", "f"];
export const KEYS = DIRECTORIES.flatMap((directory) => [`${directory}/x`, `${directory}/y`]);

function withFile(files: Files, key: string, body: string | undefined): Files {
  const changed = new Map(files);
  if (body === undefined) changed.delete(key);
  else changed.set(key, body);
  return changed;
}

function put(key: string, body: string): Operation {
  return {
    what: `PUT ${key} ${body}`,
    run: (coordinator) => coordinator.putObject(rigCtx, { key, body: bodyOf(body) }),
    apply: (files) => [withFile(files, key, body)],
  };
}

function remove(key: string): Operation {
  return {
    what: `DELETE ${key}`,
    run: (coordinator) => coordinator.deleteObject(rigCtx, key),
    apply: (files) => [withFile(files, key, undefined)],
  };
}

function copy(from: string, to: string): Operation {
  return {
    what: `COPY ${from} ${to}`,
    run: (coordinator) => coordinator.copyObject(rigCtx, { from: { key: from }, key: to }),
    // It reads at its beginning and is a PUT at its end.
    apply: (files, ever) => ever.filter((each) => each.has(from)).map((each) => withFile(files, to, each.get(from))),
  };
}

function upload(key: string, body: string): Operation {
  return {
    what: `UPLOAD ${key} ${body}`,
    async run(coordinator) {
      const { uploadId } = await coordinator.createUpload(rigCtx, { key });
      const part = { key, uploadId, partNumber: 1, sizeBytes: body.length };
      const { etag } = await coordinator.putPart(rigCtx, { ...part, body: bodyOf(body) });
      await coordinator.completeUpload(rigCtx, { key, uploadId, parts: [{ partNumber: 1, etag }] });
    },
    apply: (files) => [withFile(files, key, body)],
  };
}

function rename(from: string, to: string): Operation {
  const isIn = (directory: string, key: string): boolean => key.startsWith(`${directory}/`);
  return {
    what: `RENAME ${from}/ ${to}/`,
    run: (coordinator) => coordinator.rename(rigCtx, { from: `${from}/`, to: `${to}/` }),
    apply(files) {
      const keys = [...files.keys()];
      if (!keys.some((key) => isIn(from, key)) || keys.some((key) => isIn(to, key))) return [];
      return [new Map([...files].map(([key, body]) => [isIn(from, key) ? to + key.slice(from.length) : key, body]))];
    },
  };
}

let written = 0;

export function draw(chance: Random, key: string): Operation {
  written += 1;
  // Now and then the same bytes again: what a site calls them does not tell one from the other.
  const body = below(chance, 3) === 0 ? "the same" : `body ${written}`;
  const choice = below(chance, 20);
  if (choice < 9) return put(key, body);
  if (choice < 14) return remove(key);
  if (choice < 16) return upload(key, body);
  if (choice < 18) return copy(KEYS[below(chance, KEYS.length)] as string, key);
  const from = below(chance, DIRECTORIES.length);
  const to = (from + 1 + below(chance, DIRECTORIES.length - 1)) % DIRECTORIES.length;
  return rename(DIRECTORIES[from] as string, DIRECTORIES[to] as string);
}

export interface Answered {
  readonly operation: Operation;
  readonly answer: Answer;
}

/** Every state that operations side by side may leave: in any order, those without an answer or not. */
export function possibleAfter(
  files: Files,
  answered: readonly Answered[],
  before: readonly Files[] = [],
): readonly Files[] {
  const open = answered.filter(({ answer }) => answer.kind !== "refused");
  const ever = [...before, files];
  const states: Files[] = [];
  if (open.every(({ answer }) => answer.kind === "none")) states.push(files);
  for (const [index, { operation }] of open.entries()) {
    const others = open.toSpliced(index, 1);
    // What the others may have written before it was done, whether it came after them or not.
    const seen = [...ever, ...others.flatMap((other) => other.operation.apply(files, ever))];
    for (const after of operation.apply(files, seen)) states.push(...possibleAfter(after, others, ever));
  }
  return states;
}
