import { byBytes } from "./model.ts";

export interface ModelVersion {
  readonly id: string;
  /** As S3 shows it. */
  shown: string;
  readonly marker: boolean;
  held: boolean;
}

/** The simplest thing that keeps versions: for each key a stack, the newest first. */
export class VersionModel {
  readonly stacks = new Map<string, ModelVersion[]>();
  readonly versioning = new Map<string, "off" | "enabled" | "suspended">();

  #rules(path: string): "off" | "enabled" | "suspended" {
    return this.versioning.get(path.split("/")[0] as string) ?? "off";
  }

  #stack(path: string): ModelVersion[] {
    return this.stacks.get(path) ?? [];
  }

  #set(path: string, stack: ModelVersion[]): void {
    if (stack.length === 0) this.stacks.delete(path);
    else this.stacks.set(path, stack);
  }

  current(path: string): ModelVersion | undefined {
    const top = this.#stack(path)[0];
    return top?.marker === false ? top : undefined;
  }

  shownAt(path: string, index: number): string | undefined {
    return this.#stack(path)[index]?.shown;
  }

  #push(path: string, version: { id: string; marker: boolean; held: boolean }): void {
    const rules = this.#rules(path);
    const shown = rules === "enabled" ? version.id : "null";
    const stack = rules === "off" ? [] : this.#stack(path);
    const below = rules === "suspended" ? stack.filter((each) => each.shown !== "null") : stack;
    this.#set(path, [{ ...version, shown }, ...below]);
  }

  put(path: string, id: string): void {
    this.#push(path, { id, marker: false, held: false });
  }

  delete(path: string, id: string): void {
    if (this.#rules(path) === "off") this.stacks.delete(path);
    else this.#push(path, { id, marker: true, held: false });
  }

  deleteVersion(path: string, shown: string): "ok" | "absent" | "PermissionDenied" {
    const found = this.#stack(path).find((each) => each.shown === shown);
    if (found === undefined) return "absent";
    if (found.held) return "PermissionDenied";
    this.#set(
      path,
      this.#stack(path).filter((each) => each !== found),
    );
    return "ok";
  }

  hold(path: string, shown: string, on: boolean): "ok" | "absent" | "MethodNotAllowed" | "InvalidArgument" {
    const found = this.#stack(path).find((each) => each.shown === shown);
    if (found === undefined) return "absent";
    if (found.marker) return "MethodNotAllowed";
    if (!path.startsWith("locked/")) return "InvalidArgument";
    found.held = on;
    return "ok";
  }

  renameFile(move: { from: string; to: string; overwrite: boolean; markerId: string }): string {
    const { from, to, overwrite, markerId } = move;
    const moving = this.current(from);
    if (moving === undefined) return "NotFound";
    if (from === to) return "ok";
    if (moving.held) return "PermissionDenied";
    if (this.current(to) !== undefined && !overwrite) return "AlreadyExists";
    const left = this.#stack(from).slice(1);
    this.#set(from, left);
    if (left[0]?.marker === false) this.#push(from, { id: markerId, marker: true, held: false });
    this.#push(to, { ...moving });
    return "ok";
  }

  #below(directory: string): string[] {
    return [...this.stacks.keys()].filter((path) => path.startsWith(`${directory}/`));
  }

  renameDirectory(from: string, to: string, overwrite: boolean): string {
    if (!this.#below(from).some((path) => this.current(path) !== undefined)) return "NotFound";
    if (from === to) return "ok";
    if (`${to}/`.startsWith(`${from}/`)) return "InvalidArgument";
    if (from.startsWith("locked/")) return "PermissionDenied";
    if (this.#rules(from) !== "off" && this.#rules(to) === "off") return "Conflict";
    const occupied = this.#below(to).some((path) => this.current(path) !== undefined);
    if (occupied) return overwrite ? "NotEmpty" : "AlreadyExists";
    const moving = this.#below(from).map((path) => [path, this.#stack(path)] as const);
    for (const [path] of moving) this.stacks.delete(path);
    for (const path of this.#below(to)) for (const each of this.#stack(path)) each.shown = each.id;
    for (const [path, stack] of moving) {
      const target = to + path.slice(from.length);
      this.#set(target, [...stack, ...this.#stack(target)]);
    }
    return "ok";
  }

  versionIds(): string[] {
    return [...this.stacks.values()].flatMap((stack) => stack.filter(({ marker }) => !marker).map(({ id }) => id));
  }

  list(prefix: string, delimiter: boolean): { seen: string[]; prefixes: string[] } {
    const seen: string[] = [];
    const prefixes = new Set<string>();
    // A bucket is a directory, also when nothing is in it.
    if (delimiter && prefix === "")
      for (const bucket of [...this.versioning.keys()].sort(byBytes)) prefixes.add(`${bucket}/`);
    for (const path of [...this.stacks.keys()].sort(byBytes)) {
      if (!path.startsWith(prefix)) continue;
      const slash = delimiter ? path.indexOf("/", prefix.length) : -1;
      if (slash !== -1) {
        prefixes.add(path.slice(0, slash + 1));
        continue;
      }
      this.#stack(path).forEach(({ shown, id, marker }, index) =>
        seen.push(`${path} ${shown} ${id} ${marker ? "marker" : "file"} ${index === 0}`),
      );
    }
    return { seen, prefixes: [...prefixes] };
  }
}
