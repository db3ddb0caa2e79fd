import { randomBytes } from "node:crypto";
import { KeyedLock } from "../../../core/async/keyed-lock.ts";
import type { Disk, DiskFile } from "../../../core/ports/disk.ts";
import type { PartInfo } from "../../store.ts";
import { errnoOf } from "./failures.ts";
import { existsAt } from "./reading.ts";

/** What lies in an upload's directory, and how it is written so that a crash leaves the one state or the other. */

/** A part whose bytes are durable: at its place in `data`, or in a file of its own. */
export interface PartMark extends PartInfo {
  readonly place: { readonly file: string } | { readonly start: number; readonly strideBytes: number };
}

export function isInData(mark: PartMark): mark is PartMark & { readonly place: { readonly start: number } } {
  return "start" in mark.place;
}

export class UploadDirectory {
  readonly path: string;
  readonly #disk: Disk;
  readonly #locks: KeyedLock;

  constructor(path: string, disk: Disk, locks: KeyedLock) {
    this.path = path;
    this.#disk = disk;
    this.#locks = locks;
  }

  freshName(kind: "piece" | "assembled"): string {
    return `${kind}-${randomBytes(8).toString("hex")}`;
  }

  async writeSmall(name: string, content: unknown): Promise<void> {
    const temporary = `${this.path}/.${randomBytes(6).toString("hex")}`;
    const file = await this.#disk.open(temporary, "create");
    try {
      await file.write([Buffer.from(JSON.stringify(content))], 0);
      await file.sync();
    } finally {
      await file.close();
    }
    await this.#disk.rename(temporary, `${this.path}/${name}`);
    await this.#disk.syncDirectory(this.path);
  }

  async readSmall(name: string): Promise<unknown> {
    const file = await this.#disk.open(`${this.path}/${name}`, "read");
    try {
      const buffer = Buffer.alloc((await file.stat()).sizeBytes);
      await file.read(buffer, 0);
      return JSON.parse(buffer.toString());
    } finally {
      await file.close();
    }
  }

  async findMark(partNumber: number): Promise<PartMark | undefined> {
    try {
      return (await this.readSmall(`part-${partNumber}`)) as PartMark;
    } catch (error) {
      if (errnoOf(error) === "ENOENT") return undefined;
      throw error;
    }
  }

  /** By number. */
  async marks(): Promise<PartMark[]> {
    const names = (await this.#disk.readDirectory(this.path)).filter(({ name }) => name.startsWith("part-"));
    const marks: PartMark[] = [];
    for (const { name } of names) marks.push((await this.readSmall(name)) as PartMark);
    return marks.sort((one, other) => one.partNumber - other.partNumber);
  }

  /** From here on the part is this one; the file of the one before it goes. */
  async mark(mark: PartMark): Promise<void> {
    await this.#locks.run(`${this.path}/${mark.partNumber}`, async () => {
      const before = await this.findMark(mark.partNumber);
      await this.writeSmall(`part-${mark.partNumber}`, mark);
      if (before !== undefined && "file" in before.place) await this.drop(before.place.file);
    });
  }

  async drop(name: string): Promise<void> {
    await this.#disk.unlink(`${this.path}/${name}`).catch(ignoreAbsent);
  }

  /** A crash may have left only a sealed file, which may be an object by now: a copy of it takes the writes. */
  async openData(): Promise<DiskFile> {
    try {
      return await this.#disk.open(`${this.path}/data`, "update");
    } catch (error) {
      if (errnoOf(error) !== "ENOENT") throw error;
    }
    await this.#locks.run(this.path, async () => {
      if ((await existsAt(this.#disk, `${this.path}/data`)) === "file") return;
      const temporary = `${this.path}/.${randomBytes(6).toString("hex")}`;
      await this.#disk.copy(`${this.path}/sealed`, temporary);
      const file = await this.#disk.open(temporary, "update");
      try {
        await file.sync();
      } finally {
        await file.close();
      }
      await this.#disk.rename(temporary, `${this.path}/data`);
      await this.#disk.syncDirectory(this.path);
    });
    return await this.#disk.open(`${this.path}/data`, "update");
  }

  async holdsBytes(): Promise<boolean> {
    for (const name of ["data", "sealed"]) {
      if ((await existsAt(this.#disk, `${this.path}/${name}`)) === "file") return true;
    }
    return false;
  }

  /** The record goes first: without it the upload is gone, whatever else is left to sweep. */
  async remove(): Promise<void> {
    try {
      await this.drop("upload");
      await this.#disk.syncDirectory(this.path);
      for (const { name } of await this.#disk.readDirectory(this.path)) await this.drop(name);
      await this.#disk.removeDirectory(this.path);
    } catch (error) {
      // A part that is just arriving may have put one more file there: the sweep takes it.
      const errno = errnoOf(error);
      if (errno !== "ENOENT" && errno !== "ENOTEMPTY" && errno !== "EEXIST") throw error;
    }
  }
}

function ignoreAbsent(error: unknown): void {
  if (errnoOf(error) !== "ENOENT") throw error;
}
