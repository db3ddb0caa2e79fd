// node stressor.mjs DIR MS INDEX: makes, reads, writes, maps out, renames and removes files of its own, and some that it shares with its brothers.
// Prints how much was done; ends with a sentence if something was not as it had left it.
import * as fs from "node:fs";
import { join } from "node:path";

const [base, ms, index] = process.argv.slice(2);
const own = join(base, `own-${index}`);
const shared = join(base, "shared");
const SHARED_ERRORS = new Set(["ENOENT", "EEXIST"]);
let done = 0;

function ownFiles() {
  const path = join(own, `file-${done % 7}`);
  const text = Buffer.alloc(5000 + (done % 10_000), `${index} ${done} `);
  fs.writeFileSync(path, text);
  fs.renameSync(path, `${path}.moved`);
  const descriptor = fs.openSync(`${path}.moved`, "r+");
  fs.writeSync(descriptor, "end", text.length);
  fs.unlinkSync(`${path}.moved`);
  const read = Buffer.alloc(text.length + 3);
  fs.readSync(descriptor, read, 0, read.length, 0);
  fs.closeSync(descriptor);
  if (read.toString() !== `${text.toString()}end`) throw new Error(`${path} has changed`);
}

function sharedFiles() {
  const path = join(shared, `file-${done % 5}`);
  try {
    fs.appendFileSync(path, "line\n");
    const lines = fs.readFileSync(path, "utf8").split("\n");
    if (lines.slice(0, -1).some((line) => line !== "line")) throw new Error(`${path} has torn lines`);
    if (lines.length > 200) fs.unlinkSync(path);
    fs.readdirSync(shared);
  } catch (error) {
    if (!SHARED_ERRORS.has(error.code)) throw error;
  }
}

fs.mkdirSync(own);
fs.mkdirSync(shared, { recursive: true });
const end = performance.now() + Number(ms);
while (performance.now() < end) {
  ownFiles();
  sharedFiles();
  done += 1;
}
fs.rmSync(own, { recursive: true });
for (let number = 0; number < 5; number += 1) fs.rmSync(join(shared, `file-${number}`), { force: true });
try {
  fs.rmdirSync(shared);
} catch {
  // A brother still uses it; the last one removes it.
}
process.stdout.write(String(done));
