// The random loads of xfstests: fsx, which compares one file with what it has to be, and fsstress, which does everything to a tree.
import { spawn, spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";

const FSX_FILES = 4;
const STRESSORS = 4;
/** Seeds are printed, so that what failed can be done again. */
const SEED = Number(process.env.XFSTESTS_SEED ?? 1);

export async function runLoad({ suite, places, subtype, source, environment }, count) {
  const operations = Number(count);
  if (!Number.isInteger(operations) || operations < STRESSORS) {
    process.stderr.write(`--load takes a number from ${STRESSORS} on.\n`);
    return 2;
  }
  const options = `source=${places["test-source"]},allow_other,default_permissions`;
  const mounting = spawnSync("mount", ["-t", `fuse.${subtype}`, "-o", options, source, places.test], {
    env: environment,
    stdio: "inherit",
  });
  if (mounting.status !== 0) return 1;
  const logs = mkdtempSync(join(places.results, "load-"));
  const failures = [...(await runFsx()), ...(await runFsstress())];
  for (const failure of failures) process.stdout.write(`FAILED ${failure}\n`);
  process.stdout.write(
    `${operations} operations of fsx and ${operations} of fsstress, seed ${SEED}, ${failures.length} failures\n`,
  );
  spawnSync("umount", [places.test], { stdio: "inherit" });
  return failures.length === 0 ? 0 : 1;

  /** Several files, one of them with nothing but mappings and one in the way of databases: aligned to blocks. */
  async function runFsx() {
    const started = performance.now();
    const ways = [[], ["-W"], ["-r", "4096", "-w", "4096", "-t", "4096"], ["-c", "1000"]];
    const each = Math.ceil(operations / FSX_FILES);
    const results = await Promise.all(
      ways.map((way, index) => {
        const words = ["-q", "-N", String(each), "-S", String(SEED + index), "-P", logs, "-l", "262144", ...way];
        return run(join(suite, "ltp", "fsx"), [...words, join(places.test, `fsx-${index}`)], `fsx ${way.join(" ")}`);
      }),
    );
    process.stdout.write(`fsx: ${Math.round((performance.now() - started) / 1000)} s\n`);
    return results.flat();
  }

  async function runFsstress() {
    const started = performance.now();
    const directory = join(places.test, "fsstress");
    mkdirSync(directory);
    chmodSync(directory, 0o777);
    const each = String(Math.ceil(operations / STRESSORS));
    // sync(2) is for the whole machine, and has nothing to do with us.
    const words = ["-d", directory, "-f", "sync=0", "-n", each, "-p", String(STRESSORS), "-s", String(SEED), "-S", "c"];
    const failed = await run(join(suite, "ltp", "fsstress"), words, "fsstress");
    process.stdout.write(`fsstress: ${Math.round((performance.now() - started) / 1000)} s\n`);
    rmSync(directory, { recursive: true, force: true });
    return failed;
  }

  function run(program, words, name) {
    return new Promise((done) => {
      const child = spawn(program, words, { stdio: ["ignore", "pipe", "pipe"], cwd: logs });
      let output = "";
      const collect = (text) => (output = (output + text).slice(-4000));
      child.stdout.setEncoding("utf8").on("data", collect);
      child.stderr.setEncoding("utf8").on("data", collect);
      child.once("error", (error) => done([`${name}: ${error.message}`]));
      child.once("close", (code) => done(code === 0 ? [] : [`${name} ended with ${code}: ${output}`]));
    });
  }
}
