// What is said about the results of xfstests, and what is expected of them.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const KNOWN = join(import.meta.dirname, "xfstests-known.txt");

/** Results against what is known. Writes a page for `file`, if there is one. */
export function judge(results, { on, group, untried, file }) {
  const namesOf = (state) =>
    results
      .filter((result) => result.state === state)
      .map(({ name }) => name)
      .toSorted();
  const [passed, failed, skipped] = ["passed", "failed", "skipped"].map(namesOf);
  const known = knownFailures(on);
  const unexpected = failed.filter((name) => !known.has(name));
  const mended = passed.filter((name) => known.has(name));
  if (file !== undefined) {
    writeFileSync(file, page({ on, group, passed, failed, untried, known, skipped: results.filter(isSkipped) }));
  }
  const lines = [
    ...unexpected.map((name) => `FAILED ${name}`),
    ...mended.map((name) => `passes now, take it out of xfstests-known.txt: ${name}`),
    `${passed.length} passed, ${failed.length} failed, ${unexpected.length} of them unexpected, ${skipped.length} not run, ${untried.length} not tried`,
  ];
  return { text: `${lines.join("\n")}\n`, failed: unexpected.length + mended.length > 0 || passed.length === 0 };
}

const isSkipped = ({ state }) => state === "skipped";

/** Each line has a test, what it fails on ("all", or what --on begins with), and why. */
function knownFailures(on) {
  const known = new Map();
  for (const line of readFileSync(KNOWN, "utf8").split("\n")) {
    const [, name, place, reason] = /^(generic\/\d+) (\S+) (.*)$/.exec(line) ?? [];
    if (name !== undefined && (place === "all" || on.startsWith(place))) known.set(name, reason);
  }
  return known;
}

function page({ on, group, passed, failed, skipped, untried, known }) {
  const numbers = (names) =>
    names
      .toSorted()
      .map((name) => name.replace("generic/", ""))
      .join(" ");
  const reasons = new Map();
  for (const { name, reason } of skipped) reasons.set(reason, [...(reasons.get(reason) ?? []), name]);
  const rows = [...reasons].toSorted((left, right) => right[1].length - left[1].length);
  return [
    `### \`-g ${group}\` on \`${on}\`: ${passed.length} passed, ${failed.length} failed, ${skipped.length} not run`,
    "",
    ...(failed.length > 0 ? ["| Failed | Why |", "| --- | --- |"] : []),
    ...failed.map((name) => `| ${name} | ${known.get(name) ?? "not known"} |`),
    ...(failed.length > 0 ? [""] : []),
    `Passed: ${numbers(passed)}`,
    "",
    ...(untried.length > 0 ? [`Not tried, as they mount again and look for their files: ${numbers(untried)}`, ""] : []),
    "| Not run, because the suite says | Tests |",
    "| --- | --- |",
    ...rows.map(
      ([reason, names]) => `| ${reason.replaceAll("|", "\\|").replaceAll(/\s+/g, " ")} | ${numbers(names)} |`,
    ),
    "",
  ].join("\n");
}
