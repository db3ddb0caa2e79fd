import { closeSync, openSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { FuseError } from "../protocol/errors.ts";
import { directOptions, fusermountOptions, sourceName, type MountTableOptions } from "./mount-options.ts";
import { runProgram, type ProgramResult } from "./run-program.ts";
import { systemCalls } from "./system-calls.ts";

const DEVICE = "/dev/fuse";
const INSTALL_FUSERMOUNT = "install the package fuse3, or run as root";
/** Where the helper of libfuse is told which descriptor the socket is. */
const SOCKET_VARIABLE = "_FUSE_COMMFD";

/** Who mounts: root by the system call that mount(8) makes, everybody else by the set-user-id program of libfuse. */
export type MountWay = "direct" | "fusermount3";

export function mountWay(): MountWay {
  return process.geteuid?.() === 0 ? "direct" : "fusermount3";
}

/** A descriptor of /dev/fuse, or a sentence that says why there is none. */
export function openDevice(): number {
  try {
    return openSync(DEVICE, "r+");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENODEV" || code === "ENXIO") {
      throw new FuseError(
        "NoDevice",
        "There is no /dev/fuse: load it with `modprobe fuse`, or start the container with `--device /dev/fuse`.",
        { cause: error },
      );
    }
    throw new FuseError(
      "NoPermission",
      `/dev/fuse cannot be opened (${code ?? "unknown error"}): make it readable and writable for this user, with \`chmod 666 /dev/fuse\`.`,
      { cause: error },
    );
  }
}

/** Mounts a descriptor that `openDevice` gave, as root. */
export async function attachDirectly(descriptor: number, directory: string, options: MountTableOptions): Promise<void> {
  const type = options.subtype === undefined ? "fuse" : `fuse.${options.subtype}`;
  const ids = { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 };
  const words = ["-i", "-n", "-t", type, "-o", directOptions(options, ids), "--", sourceName(options), directory];
  const result = await runMounter("mount", words, { descriptor });
  if (result.code !== 0) throw refusal(directory, result);
}

/** Mounts as a user, and returns the descriptor that the helper opened. */
export async function attachByHelper(directory: string, options: MountTableOptions): Promise<number> {
  if (options.allowOther === true) await requireAllowOther();
  const calls = await systemCalls();
  const [ours, theirs] = calls.socketPair();
  try {
    const words = ["-o", fusermountOptions(options), "--", directory];
    const environment = { [SOCKET_VARIABLE]: "3" };
    const helper = runMounter("fusermount3", words, { descriptor: theirs, environment }).finally(() =>
      closeSync(theirs),
    );
    const [result, descriptor] = await Promise.all([helper, calls.receiveDescriptor(ours)]);
    if (descriptor === undefined) throw refusal(directory, result);
    return descriptor;
  } finally {
    closeSync(ours);
  }
}

async function runMounter(
  program: string,
  words: readonly string[],
  options: { readonly descriptor: number; readonly environment?: Readonly<Record<string, string>> },
): Promise<ProgramResult> {
  try {
    return await runProgram(program, words, options);
  } catch (error) {
    const advice = program === "mount" ? "install the package mount (util-linux)" : INSTALL_FUSERMOUNT;
    throw new FuseError("NoProgram", `The program ${program} cannot be run: ${advice}.`, { cause: error });
  }
}

async function requireAllowOther(): Promise<void> {
  const text = await readFile("/etc/fuse.conf", "utf8").catch(() => "");
  if (/^\s*user_allow_other\s*$/m.test(text)) return;
  throw new FuseError(
    "NoPermission",
    "Only root may let others use a file system: add the line `user_allow_other` to /etc/fuse.conf, or leave `allowOther` out.",
  );
}

function refusal(directory: string, { message }: ProgramResult): FuseError {
  if (/failed to open \/dev\/fuse/i.test(message)) {
    return new FuseError(
      "NoPermission",
      `/dev/fuse cannot be opened by this user: let everybody use it with \`chmod 666 ${DEVICE}\`, as most distributions do.`,
    );
  }
  if (/no write access to mountpoint|failed to access mountpoint|failed to chdir|only allowed to root/i.test(message)) {
    return new FuseError(
      "NoPermission",
      `This user may not mount at ${directory}: choose a directory that belongs to the user. The system said: ${message}.`,
    );
  }
  if (/permission denied|must be superuser|operation not permitted|not allowed/i.test(message)) {
    return new FuseError(
      "NoPermission",
      `Mounting at ${directory} is not permitted: it needs the privilege CAP_SYS_ADMIN (in a container, \`--cap-add SYS_ADMIN\`), or a directory of one's own with fusermount3. The system said: ${message}.`,
    );
  }
  const said = message === "" ? "nothing" : message;
  return new FuseError("MountFailed", `${directory} could not be mounted. The system said: ${said}.`);
}
