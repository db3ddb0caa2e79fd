import { execFile, spawn, type ChildProcess } from "node:child_process";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, describe, expect, test } from "vitest";
import { isMissing } from "./support/programs.ts";
import { reasonToSkip, Served } from "./support/served.ts";

const run = promisify(execFile);
const ROUNDS = process.env["GLOBALFS_LONG"] === "1" ? 20 : 2;
const ROWS_BEFORE_DEATH = 50;

/** Commits row after row, and says the number of each that was committed. */
function startWriter(database: string): { readonly child: ChildProcess; readonly committed: () => number } {
  const child = spawn("sqlite3", ["-batch", database], { stdio: ["pipe", "pipe", "ignore"] });
  let said = "";
  let next = 0;
  const feed = (): void => {
    next += 1;
    child.stdin.write(`insert into t(text) values('row'); select max(n) from t;\n`);
  };
  child.stdin.on("error", () => undefined);
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    said += text;
    for (let line = 0; line < text.split("\n").length - 1; line += 1) feed();
  });
  feed();
  return { child, committed: () => Number(said.trimEnd().split("\n").at(-1) ?? 0) };
}

describe.skipIf(reasonToSkip() !== undefined || isMissing("sqlite3"))("a database on loopback", () => {
  const started: Served[] = [];
  const directories: string[] = [];
  afterEach(async () => {
    for (const served of started.splice(0)) await served.clean();
    for (const directory of directories.splice(0)) fs.rmSync(directory, { recursive: true, force: true });
  });

  for (const mode of ["wal", "delete"]) {
    for (const passthrough of ["off", "read", "write"]) {
      test(
        `has all it has committed after the server was killed (journal ${mode}, passthrough ${passthrough})`,
        { timeout: 60_000 + ROUNDS * 10_000 },
        async () => {
          const source = fs.mkdtempSync(join(tmpdir(), "globalfs-database-"));
          directories.push(source);
          const words = [JSON.stringify({ source, passthrough })];
          let directory: string | undefined;
          let least = 0;
          for (let round = 0; round < ROUNDS; round += 1) {
            const served = await Served.start("loopback", directory === undefined ? { words } : { words, directory });
            started.push(served);
            directory = served.directory;
            const database = join(directory, "rows.db");
            const schema = `pragma journal_mode=${mode}; create table if not exists t(n integer primary key, text);`;
            const { stdout: journal } = await run("sqlite3", [database, schema]);
            expect(journal.trim()).toBe(mode);
            const { stdout: kept } = await run("sqlite3", [
              database,
              "pragma integrity_check; select count(*) from t;",
            ]);
            expect(kept.split("\n")[0]).toBe("ok");
            expect(Number(kept.split("\n")[1])).toBeGreaterThanOrEqual(least);
            const writer = startWriter(database);
            const ended = new Promise((resolve) => writer.child.once("exit", resolve));
            const enough = new Promise<void>((resolve) => {
              writer.child.stdout?.on("data", () => {
                if (writer.committed() >= least + ROWS_BEFORE_DEATH) resolve();
              });
            });
            await Promise.race([enough, ended]);
            served.kill("SIGKILL");
            await served.exited;
            writer.child.stdin?.end();
            await ended;
            least = writer.committed();
            expect(least).toBeGreaterThanOrEqual(ROWS_BEFORE_DEATH * (round + 1));
          }
          const { stdout } = await run("sqlite3", [
            join(source, "rows.db"),
            "pragma integrity_check; select count(*) from t;",
          ]);
          expect(stdout.split("\n")[0]).toBe("ok");
          expect(Number(stdout.split("\n")[1])).toBeGreaterThanOrEqual(least);
        },
      );
    }
  }
});
