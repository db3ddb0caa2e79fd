import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type ReadyDaemon, startDaemon } from "./support/daemon.ts";

/** The package as it is published, in a project of somebody else's. */

const run = promisify(execFile);
const ROOT = join(import.meta.dirname, "../..");
const PACKAGE = join(ROOT, "packages/client");

let project: string;
let daemon: ReadyDaemon;
let example: string;
beforeAll(async () => {
  project = await mkdtemp(join(tmpdir(), "globalfs-packed-"));
  const { stdout } = await run("npm", ["pack", "--silent", "--pack-destination", project], { cwd: PACKAGE });
  await mkdir(join(project, "node_modules/@globalfs/client"), { recursive: true });
  const words = ["-xzf", join(project, stdout.trim()), "-C", join(project, "node_modules/@globalfs/client")];
  await run("tar", [...words, "--strip-components=1"]);
  // What npm would fetch besides.
  for (const name of ["undici", "@types", "undici-types"])
    await symlink(join(ROOT, "node_modules", name), join(project, "node_modules", name));
  const readme = await readFile(join(project, "node_modules/@globalfs/client/README.md"), "utf8");
  example = /```ts\n([\s\S]*?)```/.exec(readme)?.[1] as string;
  await writeFile(join(project, "package.json"), JSON.stringify({ type: "module", private: true }));
  await writeFile(join(project, "input.csv"), "a,b\n1,2\n");
  daemon = await startDaemon({ directory: project, words: ["up", "--open", "--listen", "127.0.0.1:0"] });
});
afterAll(async () => {
  await daemon.stop();
  await rm(project, { recursive: true, force: true });
});

test("its README's example runs as plain JavaScript", async () => {
  await writeFile(join(project, "example.js"), example);
  const { stdout } = await run(process.execPath, ["example.js"], {
    cwd: project,
    env: { ...process.env, GLOBALFS_COORDINATOR: daemon.url },
  });
  expect(stdout).toBe("a,b\n1,2\n8 datasets/run-1/input.csv\n");
});

test("its README's example and the types of its calls hold in strict TypeScript", async () => {
  await writeFile(join(project, "example.ts"), example);
  await writeFile(
    join(project, "more.ts"),
    `import { createClient, type Download, type WatchEvent } from "@globalfs/client";
const client = createClient({ endpoint: "http://localhost:1" });
export const maybe: Download | undefined = await client.get("k", { ifNoneMatch: "e" });
// @ts-expect-error A condition may be answered without a body.
export const sure: Download = await client.get("k", { ifNoneMatch: "e" });
export const events: AsyncIterable<WatchEvent> = client.watch({ prefix: "a/" });
// @ts-expect-error There is no such option.
await client.get("k", { nonsense: true });
`,
  );
  const options = {
    strict: true,
    noEmit: true,
    module: "nodenext",
    target: "es2023",
    types: ["node"],
    skipLibCheck: false,
  };
  await writeFile(join(project, "tsconfig.json"), JSON.stringify({ compilerOptions: options, include: ["*.ts"] }));
  const compiler = join(ROOT, "node_modules/typescript/bin/tsc");
  const { stdout } = await run(process.execPath, [compiler, "-p", project]).catch((error: { stdout: string }) => error);
  expect(stdout).toBe("");
});

test("it brings what it needs and nothing else", async () => {
  const { stdout } = await run("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"], { cwd: PACKAGE });
  const [{ files }] = JSON.parse(stdout) as [{ files: { path: string }[] }];
  const names = files.map(({ path }) => path).filter((path) => !path.startsWith("dist/types/"));
  expect(names.toSorted()).toEqual(["README.md", "dist/index.js", "dist/index.js.map", "package.json"]);
});
