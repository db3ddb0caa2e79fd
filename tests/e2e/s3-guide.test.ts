import { existsSync } from "node:fs";
import { mkdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { missingServer } from "../servers/shared-server.ts";
import { runProgram } from "./support/command.ts";
import { createKey, isMissing, type S3Endpoint, startS3Endpoint } from "./support/s3-endpoint.ts";

/** What the guides to S3 tell a person to type, word for word, in one shell from top to bottom. */

const ROOT = join(import.meta.dirname, "../..");

/** Of a block, told by words in it, what it must show. Blocks that the guide no longer has fail, too. */
type Shown = readonly (readonly [words: string, shown: RegExp])[];
const CLIENTS: Shown = [
  ["key create --name alice", /alice/],
  ["s3 ls --recursive s3://photos", / 2026\/one\.txt$[^]* notes\/hello\.txt$/m],
  ["s3 presign", /^notes\/hello\.txt[^]*hello world\n[^]*hello world/m],
  ["by-curl.txt", /^hello world$/m],
  ["list-object-versions", /^\S+\t8\tTrue\nnull\t12\tFalse$/m],
  ["s3cmd get", /s3:\/\/photos\/by-s3cmd\.txt/],
  ["rclone lsf", /^2026\/two ä\.txt$/m],
  ["restic check", /no errors were found[^]*restoring/],
  ["cat mnt/by-s3cmd.txt", /^hello world$/m],
  ["s3 -u get photos/by-libs3.txt", /^hello world$/m],
  ["PutObjectCommand", /^hello from the SDK$/m],
  ["listObjectsV2", /^17 by-minio\.txt$/m],
];
const BUCKETS: Shown = [
  ["s3 ls s3://team --recursive", / letters\/hello\.txt\n.* letters\/second\.txt$/m],
  ["(. ./reports.env", / hello\.txt\n[^]*AccessDenied[^]*refused$/m],
  ["s3 presign", /^hello world$/m],
  ["find .globalfs", /^True$[^]*^second thoughts$[^]*versions\/..\/\w{26}-hello\.txt$/m],
  ["--bypass-governance-retention", /AccessDenied[^]*^refused$/m],
  ["get-bucket-lifecycle-configuration", /^scratch\thistory$/m],
  ["openssl dgst", /= [0-9a-f]{64}$/m],
];
const PROGRAMS = [
  ["aws", "awscli"],
  ["s3cmd"],
  ["rclone"],
  ["restic"],
  ["s3fs"],
  ["s3", "libs3-2"],
  ["curl"],
  ["fusermount3", "fuse3"],
] as const;

let lacking = false;
for (const [program, aptPackage] of PROGRAMS) lacking ||= await isMissing(program, aptPackage);
if (!existsSync("/dev/fuse")) {
  missingServer("the guide to S3 clients mounts, and there is no /dev/fuse");
  lacking = true;
}

describe.skipIf(lacking).each([
  ["s3-clients.md", CLIENTS],
  ["s3.md", BUCKETS],
] as const)("the guide %s", (page, shownThere) => {
  let s3: S3Endpoint;

  beforeAll(async () => {
    s3 = await startS3Endpoint("guide", { signature_v2: true });
    await mkdir(join(s3.directory, "photos"));
    await writeFile(join(s3.directory, "hello.txt"), "hello world\n");
    await writeFile(join(s3.directory, "photos/one.txt"), "one more");
    await writeFile(join(s3.directory, "photos/two ä.txt"), "two");
    // As in a clone, where npx and import find what is installed.
    await symlink(join(ROOT, "node_modules"), join(s3.directory, "node_modules"));
    await mkdir(join(s3.directory, "bin"));
    // As `npm start` leaves it.
    await mkdir(join(s3.directory, ".globalfs"));
    await symlink("../onprem", join(s3.directory, ".globalfs/onprem"));
    const owner = await createKey(s3.daemon.url, "root", "admin");
    await writeFile(
      join(s3.directory, ".globalfs/s3.env"),
      `export AWS_ACCESS_KEY_ID=${owner.accessKeyId} AWS_SECRET_ACCESS_KEY=${owner.secretAccessKey}\n`,
    );
    await writeFile(
      join(s3.directory, ".globalfs/rest.env"),
      `export GLOBALFS_COORDINATOR=${s3.daemon.url}\nexport GLOBALFS_API_KEY=gfs_${owner.accessKeyId}.${owner.secretAccessKey}\n`,
      { mode: 0o600 },
    );
    await symlink(join(ROOT, "bin/globalfs.js"), join(s3.directory, "bin/globalfs.js"));
    await writeFile(
      join(s3.directory, "bin/npx"),
      `#!/bin/sh\n[ "$1" = globalfs ] && shift && exec ${process.execPath} ${join(ROOT, "bin/globalfs.js")} "$@"\nexit 127\n`,
      { mode: 0o755 },
    );
  });
  afterAll(async () => {
    if (s3 !== undefined) await runProgram("fusermount3", ["-uq", join(s3.directory, "mnt")]);
    await s3?.stop();
  });

  test("shows what it promises, block after block", { timeout: 180_000 }, async () => {
    const blocks = blocksOf(await readFile(join(ROOT, `docs/guide/${page}`), "utf8"));
    expect(blocks.length).toBeGreaterThanOrEqual(shownThere.length);
    const script = [
      "set -e",
      `export PATH=${join(s3.directory, "bin")}:$PATH GLOBALFS_COORDINATOR=${s3.daemon.url}`,
      ...blocks.flatMap(({ language, code }, index) => [
        `echo "== ${index}"`,
        language === "bash" ? onPorts(code) : `cat > block.mjs <<'END_OF_BLOCK'\n${onPorts(code)}END_OF_BLOCK`,
        ...(language === "bash" ? [] : [`${process.execPath} block.mjs`]),
      ]),
      'echo "== end"',
    ].join("\n");
    const { exit, out, err } = await s3.run("bash", ["-c", `exec 2>&1\n${script}`]);
    expect(exit, `${out}${err}`).toBe(0);
    const said = out.split(/^== \w+\n/m).slice(1);
    const waiting = new Set(shownThere);
    for (const [index, { code }] of blocks.entries()) {
      for (const shown of shownThere.filter(([words]) => code.includes(words))) {
        expect(said[index], `${shown[0]}\n\nin\n\n${code}`).toMatch(shown[1]);
        waiting.delete(shown);
      }
    }
    expect([...waiting].map(([words]) => words)).toEqual([]);
  });

  function onPorts(code: string): string {
    return code.replaceAll("8091", String(s3.port)).replaceAll("http://localhost:8090", s3.daemon.url);
  }
});

function blocksOf(page: string): { readonly language: string; readonly code: string }[] {
  return Array.from(page.matchAll(/^```(bash|js)\n([^]*?)^```$/gm), ([, language = "", code = ""]) => ({
    language,
    code,
  }));
}
