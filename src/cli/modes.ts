import type { FileInfo } from "@globalfs/client";
import { UsageError } from "./failure.ts";

/** Modes as `chmod` takes them and `ls -l` shows them. */

export const PATH_HELP = "path, plain or as gfs:path; no symbolic link on it is followed";

export function octal(mode: number): string {
  return mode.toString(8).padStart(4, "0");
}

const KINDS: Readonly<Record<FileInfo["kind"], string>> = {
  file: "-",
  directory: "d",
  symlink: "l",
  fifo: "p",
  socket: "s",
  characterDevice: "c",
  blockDevice: "b",
};

const SPECIAL = [
  { bit: 0o4000, at: 2, set: "s", alone: "S" },
  { bit: 0o2000, at: 5, set: "s", alone: "S" },
  { bit: 0o1000, at: 8, set: "t", alone: "T" },
] as const;

/** Such as `drwxr-xr-x`. */
export function symbolic({ kind, mode }: Pick<FileInfo, "kind" | "mode">): string {
  const letters = Array.from("rwxrwxrwx", (letter, index) => ((mode >> (8 - index)) & 1 ? letter : "-"));
  for (const { bit, at, set, alone } of SPECIAL) if (mode & bit) letters[at] = letters[at] === "x" ? set : alone;
  return KINDS[kind] + letters.join("");
}

type Before = Pick<FileInfo, "kind" | "mode">;

const CLASSES = { u: 0o4700, g: 0o2070, o: 0o1007 } as const;
const SPECIAL_BITS = 0o7000;
const EVERYBODY = 0o0777;
const CLAUSE = /^([ugoa]*)([-+=])([rwxXst]*)$/;

/** chmod(1): octal, or clauses such as `u=rw,go-w`. Gives what becomes of the mode that a file has. */
export function modeChange(text: string): (before: Before) => number {
  if (/^[0-7]{1,4}$/.test(text)) return () => Number.parseInt(text, 8);
  const clauses = text.split(",").map((clause) => {
    const [, who = "", how = "", what = ""] = CLAUSE.exec(clause) ?? wrong(text);
    return { who: who === "" || who.includes("a") ? "ugo" : who, how, what };
  });
  return ({ kind, mode: before }) =>
    clauses.reduce((mode, { who, how, what }) => {
      const allowed = who.split("").reduce((bits, each) => bits | CLASSES[each as keyof typeof CLASSES], 0);
      const wanted = bitsOf(what, { kind, mode }) & allowed;
      if (how === "+") return mode | wanted;
      if (how === "-") return mode & ~wanted;
      // As chmod has it, the set-id bits of a directory stay unless they are named.
      const cleared = kind === "directory" ? allowed & ~SPECIAL_BITS : allowed;
      return (mode & ~cleared) | wanted;
    }, before);
}

function bitsOf(what: string, { kind, mode }: Before): number {
  let bits = 0;
  for (const letter of what) {
    if (letter === "r") bits |= 0o444;
    if (letter === "w") bits |= 0o222;
    if (letter === "x" || (letter === "X" && (kind === "directory" || (mode & 0o111) !== 0))) bits |= 0o111;
    if (letter === "s") bits |= 0o6000;
    if (letter === "t") bits |= 0o1000;
  }
  return bits & (SPECIAL_BITS | EVERYBODY);
}

function wrong(text: string): never {
  throw new UsageError(`"${text}" is no mode; write one such as 0644, u+x or go-w.`);
}
