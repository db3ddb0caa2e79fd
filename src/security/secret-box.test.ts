import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { seededRandom, systemRandom } from "../core/ports/random.ts";
import { createSecretBox, generateAccessKeyPair, openSecretBox } from "./index.ts";

describe("a secret box", () => {
  const box = createSecretBox(new Uint8Array(32).fill(1), seededRandom(1));

  it("opens what it sealed, for the same label only", () => {
    const sealed = box.seal("geheim ü", "label");
    expect(box.open(sealed, "label")).toBe("geheim ü");
    expect(sealed).not.toBe(box.seal("geheim ü", "label"));
    expect(Buffer.from(sealed, "base64").includes("geheim")).toBe(false);
    expect(() => box.open(sealed, "other")).toThrow(/cannot be opened/);
    const other = createSecretBox(new Uint8Array(32).fill(2), seededRandom(1));
    expect(() => other.open(sealed, "label")).toThrow(/cannot be opened/);
  });

  it("notices every changed bit and every cut", () => {
    const bytes = Buffer.from(box.seal("s", "l"), "base64");
    for (let index = 0; index < bytes.byteLength; index++) {
      const changed = Buffer.from(bytes);
      changed[index] = (changed[index] as number) ^ 1;
      expect(() => box.open(changed.toString("base64"), "l")).toThrow(/cannot be opened/);
      expect(() => box.open(bytes.subarray(0, index).toString("base64"), "l")).toThrow(/cannot be opened/);
    }
  });

  it("wants a key of 32 bytes", () => {
    expect(() => createSecretBox(new Uint8Array(16), systemRandom)).toThrow(/32 bytes/);
  });
});

describe("the file of the key", () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "globalfs-secret-"));
  });
  afterEach(async () => {
    await rm(directory, { recursive: true });
  });

  it("is made once, for this user alone, and found again", async () => {
    const sealed = (await openSecretBox(directory, systemRandom)).seal("s", "l");
    expect((await openSecretBox(directory, systemRandom)).open(sealed, "l")).toBe("s");
    expect((await stat(join(directory, "secret.key"))).mode & 0o777).toBe(0o600);
    expect(await readdir(directory)).toEqual(["secret.key"]);
    expect(await readFile(join(directory, "secret.key"), "utf8")).toMatch(/^[0-9a-f]{64}\n$/);
  });

  it("is one for all that start at once", async () => {
    const boxes = await Promise.all(
      Array.from({ length: 8 }, async () => await openSecretBox(directory, systemRandom)),
    );
    const sealed = (boxes[0] as (typeof boxes)[0]).seal("s", "l");
    expect(boxes.map((each) => each.open(sealed, "l"))).toEqual(boxes.map(() => "s"));
    expect(await readdir(directory)).toEqual(["secret.key"]);
  });

  it("is refused when others may read it, or when it is damaged", async () => {
    await openSecretBox(directory, systemRandom);
    const path = join(directory, "secret.key");
    await chmod(path, 0o640);
    await expect(openSecretBox(directory, systemRandom)).rejects.toThrow(/chmod 600/);
    await chmod(path, 0o600);
    await writeFile(path, "abc");
    await expect(openSecretBox(directory, systemRandom)).rejects.toThrow(/64 hex digits/);
  });
});

it("access keys look as tools expect them", () => {
  const pairs = Array.from({ length: 100 }, () => generateAccessKeyPair(systemRandom));
  for (const { id, secret } of pairs) {
    expect(id).toMatch(/^GFSK[A-Z2-7]{16}$/);
    expect(secret).toMatch(/^[\w-]{40}$/);
  }
  expect(new Set(pairs.map(({ id }) => id)).size).toBe(100);
});
