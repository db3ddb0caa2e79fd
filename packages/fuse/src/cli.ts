import { parseArgs } from "node:util";
import { mount, type MountOptions } from "./mount/mount.ts";
import { FuseError } from "./protocol/errors.ts";

const USAGE = `Usage: globalfs-fuse hello DIR
       globalfs-fuse memory DIR [--size-mib N]

Mounts a file system at DIR and serves it until it is unmounted, or interrupted.

  --allow-other    let all users in, and not only this one
  --read-only      mount it read-only
  --size-mib N     how much a file system in memory may hold (1024)
`;

const OPTIONS = {
  "allow-other": { type: "boolean" },
  "read-only": { type: "boolean" },
  "size-mib": { type: "string" },
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
  const [kind, directory, ...rest] = positionals;
  if (kind === undefined || directory === undefined || rest.length > 0)
    return misuse("Name a file system and a directory.");
  const sizeMib = Number(values["size-mib"] ?? 1024);
  if (!Number.isInteger(sizeMib) || sizeMib < 1) return misuse("--size-mib takes a number from 1 on.");
  const options = optionsOf(kind, sizeMib);
  if (options === undefined) return misuse(`There is no file system ${kind}.`);
  const { "allow-other": allowOther, "read-only": readOnly } = values;
  return serve(directory, { ...options, allowOther, readOnly, name: kind, subtype: "globalfs" });
}

function optionsOf(kind: string, sizeMib: number): MountOptions | undefined {
  const module = new URL(`./${kind}.js`, import.meta.url);
  switch (kind) {
    case "hello":
      return { module };
    case "memory":
      return { module, moduleOptions: { capacityBytes: sizeMib * 1_048_576 }, defaultPermissions: true };
    default:
      return undefined;
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
