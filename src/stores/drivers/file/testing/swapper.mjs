// Exchanges a directory with a symbolic link and back, as fast as it can, until its input ends.
import koffi from "koffi";

const [directory, link] = process.argv.slice(2);
const AT_FDCWD = -100;
const RENAME_EXCHANGE = 2;
const exchange = koffi
  .load(null)
  .func("int renameat2(int fromDirectory, const char *from, int toDirectory, const char *to, unsigned int flags)");
let ended = false;
process.stdin.on("end", () => (ended = true)).resume();
process.stdout.write("swapping\n");

function turns() {
  for (let turn = 0; turn < 100; turn++) {
    if (exchange(AT_FDCWD, directory, AT_FDCWD, link, RENAME_EXCHANGE) !== 0) throw new Error(`errno ${koffi.errno()}`);
  }
  if (!ended) setImmediate(turns);
}
turns();
