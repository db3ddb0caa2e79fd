import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { main } from "./main.ts";
import { VERSION } from "./version.ts";

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "globalfs-cli-"));
});
afterAll(async () => {
  await rm(directory, { recursive: true });
});

async function run(words: readonly string[], env: Record<string, string> = {}, input = "") {
  const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()];
  stdin.end(input);
  const said = { out: "", err: "" };
  stdout.on("data", (piece: Buffer) => (said.out += piece.toString()));
  stderr.on("data", (piece: Buffer) => (said.err += piece.toString()));
  const exit = await main(words, { stdin, stdout, stderr, env });
  return { exit, ...said };
}

describe("the command line", () => {
  test("shows all commands without arguments and with --help", async () => {
    const [bare, asked] = [await run([]), await run(["--help"])];
    expect([bare.exit, asked.exit]).toEqual([0, 0]);
    expect(bare.out).toBe(asked.out);
    const commands =
      "site object replicate config info status version completion up coordinator import explain jobs mv cp cat du ls rm";
    for (const command of commands.split(" ")) {
      expect(asked.out).toMatch(new RegExp(`^  ${command} `, "m"));
    }
    expect(asked.out).toMatch(/--coordinator-addr[^]*GLOBALFS_COORDINATOR[^]*--api-key[^]*GLOBALFS_API_KEY[^]*--json/);
  });

  test.each([["object", "get"], ["site", "add"], ["jobs", "pause"], ["cp"], ["up"], ["completion"]])(
    "shows examples in the help of %s %s",
    async (...words) => {
      const { exit, out } = await run([...words, "--help"]);
      expect(exit).toBe(0);
      expect(out).toContain(`Examples:\n  `);
      expect(out).toContain(`globalfs ${words.join(" ")}`);
    },
  );

  test.each([
    [["objct"], /globalfs: unknown command 'objct'\n\(Did you mean object\?\)/],
    [["object", "get"], /globalfs: missing required argument 'key'/],
    [["site", "add", "--name", "x"], /globalfs: required option '--uri <uri>' not specified/],
    [
      ["site", "add", "--name", "x", "--uri", "memory://", "--role", "king"],
      /Allowed choices are primary, burst, backup/,
    ],
    [["object", "list", "--limit", "-1"], /Write a whole number above zero/],
    [["object", "get", "a", "b"], /too many arguments/],
    [["object", "get", "a", "--colour"], /unknown option '--colour'/],
    [["cp", "a", "b"], /write gfs: before the key, such as gfs:b/],
    [["cp", "./a", "./b"], /One side must be in GlobalFS/],
    [["jobs", "pause"], /Name one job, or say --all/],
    [["completion", "tcsh"], /Known shells are bash, zsh, fish and powershell/],
  ])("refuses %j with exit code 2 and a sentence", async (words, expected) => {
    const { exit, out, err } = await run(words);
    expect(exit).toBe(2);
    expect(out).toBe("");
    expect(err).toMatch(expected);
  });

  test("says errors as JSON when asked to", async () => {
    const { exit, err } = await run(["cp", "a", "b", "--json"]);
    expect(exit).toBe(2);
    expect(JSON.parse(err)).toMatchObject({ code: "Usage", error: expect.stringContaining("It is not clear") });
  });

  test("says how to start a coordinator when there is none", async () => {
    const { exit, out, err } = await run(["status", "--coordinator-addr", "127.0.0.1:1"]);
    expect([exit, out]).toEqual([3, ""]);
    expect(err).toMatch(/^globalfs: The coordinator at http:\/\/127\.0\.0\.1:1 cannot be reached \(ECONNREFUSED\)\.\n/);
    expect(err).toContain("`globalfs up`");
    const fromEnvironment = await run(["info", "--json"], { GLOBALFS_COORDINATOR: "http://127.0.0.1:1" });
    expect([fromEnvironment.exit, fromEnvironment.out]).toEqual([3, ""]);
    expect(JSON.parse(fromEnvironment.err)).toMatchObject({ code: "Unreachable", hint: expect.any(String) });
  });

  test("prints its version, the one of the package", async () => {
    const manifest = JSON.parse(await readFile(join(import.meta.dirname, "../../package.json"), "utf8")) as {
      version: string;
    };
    expect(VERSION).toBe(manifest.version);
    expect((await run(["version"])).out).toBe(`globalfs ${VERSION}\n`);
    expect((await run(["--version"])).out).toBe(`${VERSION}\n`);
    expect(JSON.parse((await run(["version", "--json"])).out)).toEqual({ version: VERSION });
  });

  test("stops quietly when the reader of its output went away", async () => {
    const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()];
    stdout.destroy();
    let said = "";
    stderr.on("data", (piece: Buffer) => (said += piece.toString()));
    expect(await main(["config", "init"], { stdin, stdout, stderr, env: {} })).toBe(141);
    expect(said).toBe("");
  });
});

describe("key commands", () => {
  test("make a key whose hash is the one that the hash command prints", async () => {
    const made = JSON.parse((await run(["key", "generate", "--name", "alice", "--json"])).out) as Record<
      string,
      string
    >;
    expect(made).toMatchObject({ name: "alice", hash: expect.stringMatching(/^sha256:[0-9a-f]{64}$/) });
    expect((await run(["key", "hash"], {}, `${made["key"]}\n`)).out).toBe(`${made["hash"]}\n`);
    expect((await run(["key", "hash"], {}, "")).exit).toBe(2);
  });
});

describe("config commands", () => {
  test("write a starter that validates and shows, and do not replace a file unasked", async () => {
    const file = join(directory, "config.yaml");
    expect((await run(["config", "init", "--output", file])).exit).toBe(0);
    expect(await readFile(file, "utf8")).toBe((await run(["config", "init"])).out);
    const again = await run(["config", "init", "--output", file]);
    expect(again.exit).toBe(6);
    expect(again.err).toContain("exists already; use --force");
    expect((await run(["config", "init", "--output", file, "--force"])).exit).toBe(0);
    const valid = await run(["config", "validate", file]);
    expect(valid).toMatchObject({
      exit: 0,
      err: "",
      out: `${file} is valid: 2 sites: onprem (primary), cloud (burst)\n`,
    });
    const shown = await run(["config", "show", file, "--json"], { GLOBALFS_CACHE_TTL: "5s" });
    expect(JSON.parse(shown.out)).toMatchObject({ cache: { ttl: "5s" }, coordinator: { listen_addr: ":8090" } });
  });

  test("say what is wrong with a file, with exit code 2", async () => {
    const file = join(directory, "wrong.yaml");
    await writeFile(file, "coordinator:\n  listen_adr: x\nsites: []\n");
    const { exit, err, out } = await run(["config", "validate", file]);
    expect([exit, out]).toEqual([2, ""]);
    expect(err).toContain("line 2: unknown key `listen_adr` in coordinator; did you mean `listen_addr`?");
    expect(err).toContain("no sites are configured");
    expect((await run(["config", "validate", join(directory, "none.yaml")])).exit).toBe(2);
  });
});
