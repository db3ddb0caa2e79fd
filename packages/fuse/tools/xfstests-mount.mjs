// xfstests-mount.mjs SOURCE DIR [-o OPTIONS]: what mount(8) calls for the file systems of xfstests.mjs. Starts a server that goes on by itself,
// and ends when that has mounted. The environment says which file system it is: see xfstests.mjs.
import { spawn, spawnSync } from "node:child_process";
import { openSync } from "node:fs";
import { join } from "node:path";

const { XFSTESTS_KIND: kind, XFSTESTS_OPTIONS: moduleOptions, XFSTESTS_BASE: base } = process.env;
const OWN_WORDS = ["rw", "ro", "allow_other", "default_permissions", "dev", "suid", "exec", "async", ""];
const KERNEL_FLAGS = [
  "nosuid",
  "nodev",
  "noexec",
  "noatime",
  "nodiratime",
  "relatime",
  "strictatime",
  "lazytime",
  "sync",
];

if (process.argv[2] === "serve") await serve(process.argv[3], process.argv[4], process.argv[5] ?? "");
else await start(process.argv.slice(2));

async function start(words) {
  const [source, directory] = words;
  const options = words[words.indexOf("-o") + 1] ?? "";
  if (options.split(",").includes("remount")) {
    // What exists already has nothing to do with us: the kernel changes its flags.
    const flags = options.split(",").filter((word) => ["ro", "rw", ...KERNEL_FLAGS].includes(word));
    const mount = ["-i", "-o", ["remount", ...flags].join(","), directory];
    process.exitCode = spawnSync("mount", mount, { stdio: "inherit" }).status ?? 1;
    return;
  }
  const log = openSync(join(base, "server.log"), "a");
  const server = spawn(process.execPath, [import.meta.filename, "serve", source, directory, options], {
    stdio: ["ignore", log, log, "ipc"],
    detached: true,
    cwd: "/",
  });
  process.exitCode = await new Promise((done) => {
    server.once("exit", () => done(32));
    server.once("message", (message) => {
      if (message !== "mounted") process.stderr.write(`mount: ${JSON.stringify(message)}\n`);
      done(message === "mounted" ? 0 : 32);
    });
  });
  server.disconnect();
  server.unref();
}

async function serve(source, directory, words) {
  const { mount } = await import("../dist/index.js");
  const options = words.split(",");
  const known = [...OWN_WORDS, ...KERNEL_FLAGS];
  const unknown = options.filter((word) => !known.includes(word) && !word.startsWith("source="));
  if (unknown.length > 0) {
    process.send(`unknown options: ${unknown.join(",")}`);
    process.exitCode = 1;
    return;
  }
  const given = options.find((word) => word.startsWith("source="))?.slice("source=".length);
  // Some tests mount with options of their own.
  const shown = given ?? `${directory}-source`;
  try {
    const mounted = await mount(directory, {
      module: new URL(`../dist/${kind}.js`, import.meta.url),
      moduleOptions: { ...JSON.parse(moduleOptions), ...(kind === "loopback" ? { source: shown } : {}) },
      name: source,
      allowOther: true,
      defaultPermissions: true,
      nonEmpty: true,
      readOnly: options.includes("ro"),
      flags: options.filter((word) => KERNEL_FLAGS.includes(word)),
      onProblem: (error) => process.stderr.write(`${new Date().toISOString()} ${directory} ${error.message}\n`),
    });
    process.send("mounted");
    await mounted.closed;
  } catch (error) {
    process.send(error.message);
    process.exitCode = 1;
  }
}
