import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import type { Command } from "commander";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { buildProgram } from "../program.ts";
import { runWords, type Served, serveInProcess } from "../testing/served.ts";

/** What holds for all commands, and so for the next one, too. */

const stream = (): PassThrough => new PassThrough();
const program = buildProgram(() => Promise.resolve(), { stdin: stream(), stdout: stream(), stderr: stream(), env: {} });

function leavesOf(command: Command): Command[] {
  return command.commands.flatMap((inner) => (inner.commands.length === 0 ? [inner] : leavesOf(inner)));
}

function wordsOf(command: Command): string[] {
  return command.parent === null ? [] : [...wordsOf(command.parent), command.name()];
}

/** The coordinator starts it, and nobody else. */
const HIDDEN = "coordinator worker";
const all = leavesOf(program).filter((command) => wordsOf(command).join(" ") !== HIDDEN);
const names = all.map((command) => wordsOf(command).join(" "));

/** Words that make sense to each command that asks a coordinator. A new command goes here, or among the local ones. */
const ASKING: Readonly<Record<string, readonly string[]>> = {
  "object get": ["k"],
  "object put": ["k", "--input", "package.json"],
  "object delete": ["k"],
  "object head": ["k"],
  "object list": [],
  ls: [],
  cat: ["k"],
  cp: ["gfs:k", "gfs:l"],
  mv: ["k", "l"],
  rm: ["k"],
  df: [],
  du: [],
  stat: ["k"],
  mkdir: ["d"],
  ln: ["k", "l"],
  touch: ["k"],
  chmod: ["0644", "k"],
  chown: ["1000:100", "k"],
  "quota show": [],
  "quota set": ["d", "--max-inodes", "9"],
  "quota clear": ["d"],
  "session list": [],
  "session evict": ["1f0c9b7a5d3e2c4b6a891234"],
  leases: [],
  "site list": [],
  "site add": ["--name", "s", "--uri", "memory://", "--role", "burst"],
  "site remove": ["--name", "s"],
  "site adopt": ["--name", "s"],
  replicate: ["--key", "k", "--from", "a", "--to", "b"],
  "jobs list": [],
  "jobs show": ["01ARZ3NDEKTSV4RRFFQ69G5FAV"],
  "jobs pause": ["--all"],
  "jobs resume": ["--all"],
  "jobs cancel": ["01ARZ3NDEKTSV4RRFFQ69G5FAV"],
  import: ["s"],
  watch: ["--count", "1"],
  explain: ["k"],
  info: [],
  status: [],
  "audit tail": [],
  "key list": [],
  "key create": ["--name", "n", "--path", "/", "--role", "admin"],
  "key show": ["GFSKABCDEFGHIJKLMNOP"],
  "key check": ["GFSKABCDEFGHIJKLMNOP", "k"],
  "key revoke": ["GFSKABCDEFGHIJKLMNOP"],
};

/** These do their work on this machine. */
const LOCAL =
  "up|coordinator start|config init|config validate|config show|meta check|meta dump|meta load|meta backup|meta backups|meta rebuild|audit verify|version|completion|key generate|key hash";

test("every command is either one that asks a coordinator or a local one, and is tried here", () => {
  const known = [...Object.keys(ASKING), ...LOCAL.split("|")];
  expect(names.filter((name) => !known.includes(name))).toEqual([]);
  expect(known.filter((name) => !names.includes(name))).toEqual([]);
});

test.each(names)("`%s --help` has examples that begin with it", async (name) => {
  const { exit, out, err } = await runWords([...name.split(" "), "--help"]);
  expect([exit, err]).toEqual([0, ""]);
  expect(out).toMatch(new RegExp(`Examples:\\n(.*\\n)*.*globalfs ${name}`));
});

test.each(names)(
  "`%s` refuses an unknown flag in one line of JSON, and to a person first what is wrong",
  async (name) => {
    const json = await runWords([...name.split(" "), "--no-such-flag", "--json"]);
    expect([json.exit, json.out]).toEqual([2, ""]);
    expect(JSON.parse(json.err)).toMatchObject({ code: "Usage", error: expect.any(String), hint: expect.any(String) });
    expect(json.err.trimEnd()).not.toContain("\n");
    const plain = await runWords([...name.split(" "), "--no-such-flag"]);
    expect(plain.exit).toBe(2);
    expect(plain.err).toMatch(new RegExp(`^globalfs: .*\\nglobalfs ${name} --help says how it is used\\.\\n$`));
  },
);

test.each(["site", "object", "jobs", "key", "audit", "config"])("`%s` alone names its commands", async (group) => {
  const { exit, out, err } = await runWords([group, "--json"]);
  expect([exit, out]).toEqual([2, ""]);
  const { error } = JSON.parse(err) as { error: string };
  const inner = program.commands.find((command) => command.name() === group)?.commands ?? [];
  for (const command of inner) expect(error).toContain(command.name());
});

describe("without a coordinator", () => {
  test.each(Object.entries(ASKING))("`%s` says so, with exit code 3", async (name, words) => {
    const env = { GLOBALFS_COORDINATOR: "http://127.0.0.1:1" };
    const { exit, out, err } = await runWords([...name.split(" "), ...words, "--json"], { env });
    expect([exit, out]).toEqual([3, ""]);
    expect(JSON.parse(err)).toMatchObject({ code: "Unreachable", hint: expect.stringContaining("globalfs up") });
  });
});

describe("with a coordinator", () => {
  let served: Served;
  let directory: string;
  beforeAll(async () => {
    served = await serveInProcess();
    directory = await mkdtemp(join(tmpdir(), "globalfs-every-"));
    for (const key of ["k", "dir/a"]) await served.rig.put(key, "content");
  });
  afterAll(async () => {
    await served.stop();
    await rm(directory, { recursive: true });
  });

  /** Asked for what there is: JSON on stdout, and nothing on stderr. */
  test.each([
    ["object put new --input package.json"],
    ["object head k"],
    ["object list"],
    ["object list --prefix none/"],
    ["ls"],
    ["ls -R"],
    ["ls dir"],
    ["cp gfs:k gfs:copied"],
    ["cp -r gfs:dir gfs:dir2"],
    ["mv copied moved"],
    ["rm moved"],
    ["rm -r dir2"],
    ["rm -n k"],
    ["object delete new"],
    ["du"],
    ["site list"],
    ["status"],
    ["info"],
    ["jobs list"],
    ["jobs pause --all"],
    ["jobs resume --all"],
    ["explain k"],
    ["explain never/was"],
    ["replicate --key k --from local --to cloud"],
    ["import cloud"],
    ["key create --name n --path / --role admin"],
    ["key list"],
    ["version"],
    ["key generate"],
  ])("`%s` prints JSON when it is asked to, and nothing else", async (line) => {
    const { out, err, exit } = await served.run([...line.split(" "), "--json"], {
      env: { XDG_STATE_HOME: directory },
    });
    expect([exit, err]).toEqual([0, ""]);
    expect(JSON.parse(out)).toBeTypeOf("object");
    expect(out).not.toMatch(/"[a-z]+[A-Z]\w*":/);
  });

  /** Asked for what there is not. */
  test.each([
    ["object get nothing", 4, "NotFound"],
    ["object head nothing", 4, "NotFound"],
    ["object delete nothing", 4, "NotFound"],
    ["cat nothing", 4, "NotFound"],
    ["ls nothing", 4, "NotFound"],
    ["rm nothing", 4, "NotFound"],
    ["rm -r nothing", 4, "NotFound"],
    ["cp gfs:nothing gfs:x", 4, "NotFound"],
    ["cp -r gfs:nothing gfs:x", 4, "NotFound"],
    ["cp ./no/such/file gfs:x", 4, "ENOENT"],
    ["cp -r ./no/such/directory gfs:x", 4, "ENOENT"],
    ["object put x --input no/such/file", 4, "ENOENT"],
    ["mv nothing x", 4, "NotFound"],
    ["mv nothing/ x/", 4, "NotFound"],
    ["object get dir", 6, "IsADirectory"],
    ["object head dir", 6, "IsADirectory"],
    ["cat dir", 6, "IsADirectory"],
    ["replicate --key nothing --from local --to cloud", 4, "NotFound"],
    ["replicate --key k --from mars --to cloud", 4, "NotFound"],
    ["replicate --key k --from local --to mars", 4, "NotFound"],
    ["import mars", 4, "NotFound"],
    ["site remove --name mars", 4, "NotFound"],
    ["site add --name local --uri memory:// --role burst", 6, "AlreadyExists"],
    ["jobs show 01ARZ3NDEKTSV4RRFFQ69G5FAV", 4, "NotFound"],
    ["jobs show nonsense", 4, "NotFound"],
    ["jobs cancel nonsense", 4, "NotFound"],
    ["jobs pause nonsense", 4, "NotFound"],
    ["jobs resume nonsense", 4, "NotFound"],
    ["audit tail", 2, "Unsupported"],
    ["key show nonsense", 4, "NotFound"],
    ["key check nonsense k", 4, "NotFound"],
    ["key revoke nonsense", 4, "NotFound"],
    ["object get a/../b", 2, "InvalidKey"],
    ["object put /abs --input package.json", 2, "InvalidKey"],
    ["rm /abs", 2, "InvalidKey"],
    ["object put k --input package.json --no-clobber", 6, "PreconditionFailed"],
    ["mv k dir/a", 6, "AlreadyExists"],
    ["config validate no/such.yaml", 2, "ConfigInvalid"],
  ])("`%s` gives exit code %i and says %s", async (line, exit, code) => {
    const env = { XDG_STATE_HOME: directory };
    const asked = await served.run([...line.split(" "), "--json"], { env });
    expect([asked.exit, asked.out]).toEqual([exit, ""]);
    const said = JSON.parse(asked.err) as { code: string; error: string };
    expect(said.code).toBe(code);
    expect(said.error).toMatch(/^\S.*[.?:)]?/);
    const person = await served.run(line.split(" "), { env });
    expect([person.exit, person.out]).toEqual([exit, ""]);
    expect(person.err.startsWith(`globalfs: ${said.error}`)).toBe(true);
  });
});
