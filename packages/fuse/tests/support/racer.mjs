// node racer.mjs DIR MS INDEX: makes, renames, links, lists and removes the same few names as its brothers do. What may go wrong in a
// race is known; everything else is printed.
import * as fs from "node:fs";
import { join } from "node:path";

const [directory, ms, index] = process.argv.slice(2);
const NAMES = ["a", "b", "c", "dir", "dir/a", "dir/b", "other", "other/a"];
const EXPECTED = new Set(["ENOENT", "EEXIST", "ENOTEMPTY", "ENOTDIR", "EISDIR", "EINVAL", "EPERM"]);
// A generator of its own, so that a run can be repeated.
let state = Number(index) + 1;
const random = (below) => {
  state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
  return (state >>> 8) % below;
};
const pick = () => join(directory, NAMES[random(NAMES.length)]);

const steps = [
  () => {
    // Made under a name of its own first, so that nobody ever sees an empty file.
    const own = join(directory, `new-${index}`);
    fs.writeFileSync(own, `racer ${index}`);
    fs.renameSync(own, pick());
  },
  () => fs.mkdirSync(pick()),
  () => fs.renameSync(pick(), pick()),
  () => fs.linkSync(pick(), pick()),
  () => fs.unlinkSync(pick()),
  () => fs.rmdirSync(pick()),
  () => fs.readdirSync(pick()),
  () => {
    const text = fs.readFileSync(pick(), "utf8");
    if (!/^racer \d+$/.test(text)) throw new Error(`read ${JSON.stringify(text)}`);
  },
];

const unexpected = [];
let done = 0;
const end = performance.now() + Number(ms);
while (performance.now() < end) {
  try {
    steps[random(steps.length)]();
    done += 1;
  } catch (error) {
    if (!EXPECTED.has(error.code) && unexpected.length < 10) unexpected.push(String(error.message));
  }
}
process.stdout.write(JSON.stringify({ done, unexpected }));
