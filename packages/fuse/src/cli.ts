import { realpathSync } from "node:fs";
import { relative, resolve } from "node:path";
import { parseArgs } from "node:util";
import { mount, type MountOptions } from "./mount/mount.ts";
import { FuseError } from "./protocol/errors.ts";

const USAGE = `Usage: globalfs-fuse hello DIR
       globalfs-fuse memory DIR [--size-mib N]
       globalfs-fuse loopback SOURCE DIR [--passthrough off|read|write] [--timeout-ms N]
                              [--locks kernel|source] [--system-calls native|node]

Mounts a file system at DIR and serves it until it is unmounted, or interrupted.

  --allow-other    let all users in, and not only this one
  --read-only      mount it read-only
  --non-empty      mount it also over a directory that has something in it, which is hidden meanwhile
  --size-mib N     how much a file system in memory may hold (1024)
  --passthrough    what the kernel does without us: nothing, reads, or writes, too (read)
  --timeout-ms N   for how long the kernel may believe what it was told of the source (1000)
  --locks          where locks are held: among those who use the mount, or in the source (kernel)
  --system-calls   native: with koffi, and so whole; node: without it (native)
`;

const OPTIONS = {
  "allow-other": { type: "boolean" },
  "read-only": { type: "boolean" },
  "non-empty": { type: "boolean" },
  "size-mib": { type: "string" },
  passthrough: { type: "string" },
  "timeout-ms": { type: "string" },
  locks: { type: "string" },
  "system-calls": { type: "string" },
  help: { type: "boolean", short: "h" },
} as const;

/** The command. Returns its exit code: 0, 1 for a failure, 2 for words that make no sense. */
export async function main(words: readonly string[]): Promise<number> {
  let parsed;
  try {
    parsed = parseArgs({ args: [...words], options: OPTIONS, allowPositionals: true });
  } catch (error) {
    return misuse((error as Error).message);
  }
  const { values, positionals } = parsed;
  if (values.help === true) {
    process.stdout.write(USAGE);
    return 0;
  }
  const kind = positionals[0];
  const directory = positionals.at(-1);
  if (kind === undefined || directory === undefined || positionals.length !== (kind === "loopback" ? 3 : 2)) {
    return misuse("Name a file system and a directory; for loopback, the directory to show comes before it.");
  }
  const source = positionals[1] as string;
  if (kind === "loopback" && liesBelow(directory, source)) {
    return misuse(`${directory} lies in ${source}, so it would have to wait for itself: choose a directory elsewhere.`);
  }
  const options = optionsOf(kind, source, values);
  if (typeof options === "string") return misuse(options);
  const { "allow-other": allowOther, "read-only": readOnly, "non-empty": nonEmpty } = values;
  return serve(directory, { ...options, allowOther, readOnly, nonEmpty, name: kind, subtype: "globalfs" });
}

/** What only some file systems know. */
const OWN_OPTIONS: Readonly<Record<string, readonly (keyof typeof OPTIONS)[]>> = {
  hello: [],
  memory: ["size-mib"],
  loopback: ["passthrough", "timeout-ms", "locks", "system-calls"],
};

type Values = Readonly<Partial<Record<keyof typeof OPTIONS, string | boolean>>>;

/** What to mount, or what is wrong with the words. */
function optionsOf(kind: string, source: string, values: Values): MountOptions | string {
  const module = new URL(`./${kind}.js`, import.meta.url);
  const others = Object.entries(OWN_OPTIONS).flatMap(([other, names]) => (other === kind ? [] : names));
  const misplaced = others.find((name) => values[name] !== undefined);
  if (kind in OWN_OPTIONS && misplaced !== undefined) return `--${misplaced} means nothing to ${kind}.`;
  switch (kind) {
    case "hello":
      return { module };
    case "memory": {
      const sizeMib = Number(values["size-mib"] ?? 1024);
      if (!Number.isInteger(sizeMib) || sizeMib < 1) return "--size-mib takes a number from 1 on.";
      return { module, moduleOptions: { capacityBytes: sizeMib * 1_048_576 }, defaultPermissions: true };
    }
    case "loopback": {
      const timeoutMs = Number(values["timeout-ms"] ?? 1000);
      if (!(timeoutMs >= 0)) return "--timeout-ms takes a number from 0 on, or Infinity.";
      const { passthrough = "read", locks = "kernel", "system-calls": systemCalls = "native" } = values;
      if (!["off", "read", "write"].includes(String(passthrough))) return "--passthrough takes off, read or write.";
      if (!["kernel", "source"].includes(String(locks))) return "--locks takes kernel or source.";
      if (!["native", "node"].includes(String(systemCalls))) return "--system-calls takes native or node.";
      const moduleOptions = { source: resolve(source), passthrough, timeoutMs, locks, systemCalls };
      return { module, moduleOptions, defaultPermissions: true };
    }
    default:
      return `There is no file system ${kind}.`;
  }
}

/** False for what does not exist; mounting will say so. */
function liesBelow(directory: string, above: string): boolean {
  try {
    const way = relative(realpathSync(above), realpathSync(directory));
    return way !== "" && way !== ".." && !way.startsWith("../");
  } catch {
    return false;
  }
}

async function serve(directory: string, options: MountOptions): Promise<number> {
  try {
    const mounted = await mount(directory, options);
    process.stdout.write(`Mounted at ${mounted.directory}\n`);
    const stop = (): void => {
      mounted.unmount().catch(report);
    };
    process.once("SIGINT", stop);
    process.once("SIGTERM", stop);
    process.once("SIGHUP", stop);
    await mounted.closed;
    return 0;
  } catch (error) {
    report(error);
    return 1;
  }
}

function report(error: unknown): void {
  const message = error instanceof FuseError ? error.message : String((error as Error).stack ?? error);
  process.stderr.write(`${message}\n`);
}

function misuse(message: string): number {
  process.stderr.write(`${message}\n\n${USAGE}`);
  return 2;
}
