import { keyOf } from "./same-programs.mjs";

export function printMutant({ file, line, inside, change, killed, by, ran, ms }, index, of) {
  const where = `${file}:${line}${inside === "" ? "" : ` ${inside}`}`;
  const fate = killed ? `killed (${(ms / 1000).toFixed(1)} s)` : `SURVIVED ${ran} tests (${(ms / 1000).toFixed(1)} s)`;
  process.stdout.write(`${index}/${of} ${where}\n    ${change}\n    ${fate}${killed ? ` by ${short(by)}` : ""}\n`);
}

export function printSummary({ results, chosen, same, known, seed, ms }) {
  const survivors = results.filter(({ killed }) => !killed);
  const killed = results.length - survivors.length;
  if (same.length > 0) {
    process.stdout.write("\nThe same program, and not tried:\n");
    for (const mutation of same) {
      process.stdout.write(
        `  ${mutation.file}:${mutation.line} ${mutation.change}\n      ${known.get(keyOf(mutation)).reason}\n`,
      );
    }
  }
  if (survivors.length > 0) process.stdout.write("\nSurvivors:\n");
  for (const { file, line, inside, lineText, change, ran } of survivors) {
    process.stdout.write(`  ${file}:${line} ${inside} (${ran} tests)\n    - ${lineText}\n      ${change}\n`);
  }
  const percent = results.length === 0 ? 100 : (100 * killed) / results.length;
  const pace = ms === 0 ? 0 : (results.length * 60_000) / ms;
  process.stdout.write(
    `\n${results.length} of ${chosen.length} mutants tried (seed ${seed}): ${killed} killed, ${survivors.length} survived, ` +
      `${percent.toFixed(1)} % killed; ${same.length} known to be the same program; ${pace.toFixed(0)} a minute\n`,
  );
}

function short(text) {
  const line = text.replaceAll(/\s+/g, " ");
  return line.length > 140 ? `${line.slice(0, 137)}...` : line;
}
