import { spawnSync } from "node:child_process";
import { mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { missingServer } from "../../servers/shared-server.ts";

/** A file system of its own that is really full when it is full. */
export interface SmallDisk {
  readonly directory: string;
  dispose(): Promise<void>;
}

const MIB = 1024 ** 2;

/** Undefined where mounting is not permitted, which is a failure where all programs and privileges are promised. */
export async function mountSmallDisk(kind: "tmpfs" | "ext4", sizeMib: number): Promise<SmallDisk | undefined> {
  const directory = await mkdtemp(join(tmpdir(), `globalfs-small-${kind}-`));
  const image = `${directory}.img`;
  const remove = async (): Promise<void> => {
    await rm(image, { force: true });
    await rm(directory, { recursive: true, force: true });
  };
  if (!(kind === "tmpfs" ? mountTmpfs(directory, sizeMib) : await mountExt4(image, directory, sizeMib))) {
    await remove();
    missingServer(`a small ${kind} cannot be mounted here`);
    return undefined;
  }
  return {
    directory,
    async dispose() {
      // It leaves its place at once, and ends when nothing in this process or another holds a file of it any more.
      spawnSync("umount", ["--lazy", directory]);
      await remove();
    },
  };
}

function mountTmpfs(directory: string, sizeMib: number): boolean {
  return spawnSync("mount", ["-t", "tmpfs", "-o", `size=${sizeMib}m`, "tmpfs", directory]).status === 0;
}

async function mountExt4(image: string, directory: string, sizeMib: number): Promise<boolean> {
  const file = await open(image, "w");
  await file.truncate(sizeMib * MIB);
  await file.close();
  return (
    spawnSync("mkfs.ext4", ["-q", "-m", "0", image]).status === 0 &&
    spawnSync("mount", ["-o", "loop", image, directory]).status === 0
  );
}
