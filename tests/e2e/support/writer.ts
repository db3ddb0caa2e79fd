import type { Random } from "../../../src/core/ports/random.ts";
import { bytesOf, type Content, describeBytes, describeContent, identify } from "./contents.ts";
import type { Answer, ObjectCalls } from "./object-calls.ts";

/**
 * A client with keys of its own that knows what each of them may hold. It does one thing at a time, so that a daemon killed under it
 * leaves one operation in doubt: that one may have happened or not, everything before it must have.
 */
export interface Writer {
  /** Writes, overwrites, deletes and renames until the daemon is gone or `signal` aborts. Resolves with how many were acknowledged. */
  work(calls: ObjectCalls, signal: AbortSignal): Promise<number>;
  /** Reads `fraction` of the keys, and every name that a broken rename may have touched. Throws when one holds what it must not. */
  verify(calls: ObjectCalls, fraction: number): Promise<void>;
  /** After a whole verification: every key that exists, with its bytes. */
  objects(): Map<string, Buffer>;
  /** Whether these are the bytes of a write that never got an answer. */
  wasUnanswered(key: string, body: Buffer): boolean;
  history(): readonly string[];
}

type Possible = readonly (Content | undefined)[];

type Doubt =
  | { readonly kind: "content"; readonly name: string; readonly after: Content | undefined }
  | { readonly kind: "rename"; readonly from: string; readonly to: string }
  | { readonly kind: "directory"; readonly to: string };

/** Some names lie in directories whose own names are objects, too. */
const NAMES = ["a", "b", "c", "d", "e", "a/in", "b/in", "x/y/z", "x/y", "ü (1) +%41"];
const SIZES = [0, 17, 4_096, 70_000, 300_000, 2_500_000];
const KEPT_HISTORY = 400;
const READ_ATTEMPTS = 20;

export function createWriter(root: string, random: Random): Writer {
  const states = new Map<string, Possible>(NAMES.map((name) => [name, [undefined]]));
  const history: string[] = [];
  const unanswered: Content[] = [];
  let directory = "first";
  let serial = 0;
  let doubt: Doubt | undefined;

  const note = (text: string): void => {
    history.push(text);
    if (history.length > KEPT_HISTORY) history.shift();
  };
  const path = (name: string, where = directory): string => `${root}/${where}/${name}`;
  const pick = <T>(items: readonly T[]): T => items[Math.floor(random.fraction() * items.length)] as T;
  const possible = (name: string): Possible => states.get(name) as Possible;
  const violation = (text: string): Error =>
    new Error(`${text}\nWhat ${root} did last:\n  ${history.slice(-40).join("\n  ")}`);
  const refused = (what: string, { status, body }: Answer): Error =>
    violation(`${what} was answered ${status}: ${body.toString().slice(0, 500)}`);

  async function put(calls: ObjectCalls): Promise<void> {
    const name = pick(NAMES);
    const content: Content = { serial: ++serial, sizeBytes: pick(SIZES) };
    doubt = { kind: "content", name, after: content };
    note(`PUT ${path(name)}: ${describeContent(content)}`);
    const answer = await calls.put(path(name), bytesOf(root, content), random.fraction() < 0.3);
    // Refused because a renamed object still lay where this one should go: nothing has changed, and the client may try again.
    if (answer.status === 409) note("  refused (409)");
    else if (answer.status !== 201 && answer.status !== 202) throw refused(`PUT ${path(name)}`, answer);
    else states.set(name, [content]);
  }

  async function remove(calls: ObjectCalls): Promise<void> {
    const name = pick(NAMES);
    doubt = { kind: "content", name, after: undefined };
    note(`DELETE ${path(name)}`);
    const answer = await calls.delete(path(name));
    if (answer.status !== 204) throw refused(`DELETE ${path(name)}`, answer);
    states.set(name, [undefined]);
  }

  async function rename(calls: ObjectCalls): Promise<void> {
    const [from, to] = [pick(NAMES), pick(NAMES)];
    if (from === to || !exists(from)) return;
    doubt = { kind: "rename", from, to };
    note(`RENAME ${path(from)} to ${path(to)}`);
    const answer = await calls.rename(path(from), path(to), true);
    if (answer.status !== 204) throw refused(`RENAME ${path(from)} to ${path(to)}`, answer);
    renamed(from, to);
  }

  function renamed(from: string, to: string): void {
    states.set(to, possible(from));
    states.set(from, [undefined]);
  }

  function exists(name: string): boolean {
    return possible(name).length === 1 && possible(name)[0] !== undefined;
  }

  async function renameDirectory(calls: ObjectCalls): Promise<void> {
    if (!NAMES.some(exists)) return;
    const to = directory === "first" ? "second" : "first";
    doubt = { kind: "directory", to };
    note(`RENAME ${root}/${directory}/ to ${root}/${to}/`);
    const answer = await calls.rename(`${root}/${directory}/`, `${root}/${to}/`, false);
    if (answer.status !== 204) throw refused(`RENAME ${root}/${directory}/ to ${root}/${to}/`, answer);
    directory = to;
  }

  async function step(calls: ObjectCalls): Promise<void> {
    const chance = random.fraction();
    if (chance < 0.55) await put(calls);
    else if (chance < 0.75) await remove(calls);
    else if (chance < 0.9) await rename(calls);
    else if (chance < 0.93) await renameDirectory(calls);
    else await verifyOne(calls, pick(NAMES));
    doubt = undefined;
  }

  async function read(calls: ObjectCalls, where: string): Promise<Buffer | undefined> {
    for (let attempt = 1; ; attempt++) {
      const answer = await calls.get(where);
      if (answer.status === 200) return answer.body;
      if (answer.status === 404) return undefined;
      if (answer.status !== 409 || attempt === READ_ATTEMPTS) throw refused(`GET ${where}`, answer);
    }
  }

  async function verifyOne(calls: ObjectCalls, name: string): Promise<void> {
    const found = await read(calls, path(name));
    const known = identify(root, found, possible(name));
    if (known === undefined) {
      throw violation(
        `${path(name)} is ${describeBytes(found)}, and must be one of: ${possible(name).map(describeContent).join(", ")}`,
      );
    }
    if (possible(name).length > 1) note(`FOUND ${path(name)}: ${describeContent(known.content)}`);
    states.set(name, [known.content]);
  }

  /** Settles what the last kill left open about names; what it left open about a content stays open until that key is read. */
  async function settleDoubt(calls: ObjectCalls): Promise<void> {
    const open = doubt;
    if (open === undefined) return;
    if (open.kind === "content") {
      states.set(open.name, [...possible(open.name), open.after]);
      if (open.after !== undefined) unanswered.push(open.after);
    }
    if (open.kind === "rename") await settleRename(calls, open.from, open.to);
    if (open.kind === "directory") await settleDirectory(calls, open.to);
    doubt = undefined;
  }

  async function settleRename(calls: ObjectCalls, from: string, to: string): Promise<void> {
    const [source, target] = [await read(calls, path(from)), await read(calls, path(to))];
    const before =
      identify(root, source, possible(from)) !== undefined && identify(root, target, possible(to)) !== undefined;
    const after = source === undefined && identify(root, target, possible(from)) !== undefined;
    if (!before && !after) {
      throw violation(
        `After a broken rename ${path(from)} is ${describeBytes(source)} and ${path(to)} is ${describeBytes(target)}; before it they were ${possible(from).map(describeContent).join("/")} and ${possible(to).map(describeContent).join("/")}`,
      );
    }
    note(`FOUND the rename ${before ? "undone" : "done"}`);
    if (!before) renamed(from, to);
  }

  async function settleDirectory(calls: ObjectCalls, to: string): Promise<void> {
    const objects = (await calls.json(`/api/v1/objects?prefix=${root}/`)) as readonly { readonly key: string }[];
    const found = new Set(objects.map(({ key }) => key.split("/")[1] as string));
    const [only] = found;
    if (found.size !== 1 || only === undefined || (only !== directory && only !== to)) {
      throw violation(
        `After the broken rename of ${root}/${directory}/ to ${root}/${to}/ there is: ${[...found].join(", ")}`,
      );
    }
    note(`FOUND the directory's rename ${only === to ? "done" : "undone"}`);
    directory = only;
  }

  return {
    async work(calls, signal) {
      for (let acknowledged = 0; ; acknowledged++) {
        if (signal.aborted) return acknowledged;
        try {
          await step(calls);
        } catch (error) {
          if (!signal.aborted || !isBroken(error)) throw error;
          note("KILLED");
          return acknowledged;
        }
      }
    },
    async verify(calls, fraction) {
      await settleDoubt(calls);
      await Promise.all(
        NAMES.filter(() => random.fraction() < fraction).map(async (name) => await verifyOne(calls, name)),
      );
    },
    objects() {
      const found = new Map<string, Buffer>();
      for (const name of NAMES) {
        const [content] = possible(name);
        if (content !== undefined) found.set(path(name), bytesOf(root, content));
      }
      return found;
    },
    wasUnanswered: (key, body) =>
      key.startsWith(`${root}/`) && unanswered.some((content) => bytesOf(root, content).equals(body)),
    history: () => history,
  };
}

/** The connection ended without an answer. */
function isBroken(error: unknown): boolean {
  const { code } = error as { code?: unknown };
  return typeof code === "string" && /^(UND_ERR_(SOCKET|DESTROYED|CLOSED)|ECONN|EPIPE)/.test(code);
}
