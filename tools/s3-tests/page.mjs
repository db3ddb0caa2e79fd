import { operationOf } from "./operations.mjs";

/** Why a test is not passed: said of the test itself, of its file, or of a mark that it has. Undefined: nobody has said. */
export function reasonOf(test, reasons) {
  const base = test.name.replace(/\[.*/, "");
  const byName = reasons.tests[base] ?? reasons.names.find(({ pattern }) => new RegExp(pattern).test(base))?.reason;
  return byName ?? reasons.files[test.file] ?? test.marks.map((mark) => reasons.marks[mark]).find(Boolean);
}

export function failuresWithoutReason({ tests }, reasons) {
  return tests.filter((test) => test.outcome === "failed" && reasonOf(test, reasons) === undefined);
}

/** `docs/s3-compatibility.md`, of a whole run against GlobalFS and, when there is one, against radosgw. */
export function makePage({ ours: recorded, theirs, reasons }) {
  const ours = { ...recorded, tests: recorded.tests.map((test) => withoutEmptyPasses(test, reasons)) };
  const other = new Map(theirs?.tests.map((test) => [keyOf(test), test]));
  return [
    "# What of S3 works",
    "",
    "Made by `npm run s3-tests` from a run of Ceph's S3 tests (github.com/ceph/s3-tests); nothing here is written by hand but the",
    "reasons, which are in `tools/s3-tests-reasons.json`.",
    "",
    `Suite at ${ours.suite}, driven by ${ours.client}. Lifecycle days are shortened to seconds at both servers.`,
    "",
    ...totals([ours, ...(theirs === undefined ? [] : [theirs])]),
    ...operations(ours.tests, other),
    ...notPassed(ours, reasons, other),
  ].join("\n");
}

/** Some tests compare one answer with another and pass when both are the same error. What is not implemented is not passed. */
function withoutEmptyPasses(test, reasons) {
  return test.outcome === "passed" && reasons.notImplemented.includes(test.file)
    ? { ...test, outcome: "failed" }
    : test;
}

const OF_S3 = new Set(["test_s3.py", "test_headers.py"]);

function totals(runs) {
  const rows = runs.map(({ server, tests, seconds }) => [
    server,
    ...["passed", "failed", "skipped"].map((outcome) => count(tests, outcome)),
    tests.length,
    `${Math.round(seconds)} s`,
  ]);
  const ofS3 = runs.map(({ server, tests }) => {
    const some = tests.filter(({ file }) => OF_S3.has(file));
    return [server, ...["passed", "failed", "skipped"].map((outcome) => count(some, outcome)), some.length];
  });
  return [
    "## Totals",
    "",
    ...table(["Server", "Passed", "Failed", "Skipped", "Tests", "Took"], rows),
    "",
    "The servers are tested one after the other, beside whatever else the machine does: how long a run took says little of their speed.",
    "",
    "Of these, the tests of S3 itself (`test_s3.py` and `test_headers.py`), without IAM, STS, SNS and S3 Select:",
    "",
    ...table(["Server", "Passed", "Failed", "Skipped", "Tests"], ofS3),
    "",
    "Tests of S3 Select count as failed here also where the suite calls them passed: they compare two answers, which are the same",
    "error, `NotImplemented`.",
    "",
  ];
}

function operations(tests, other) {
  const groups = groupBy(tests, operationOf);
  const rows = [...groups].toSorted(byFirst).map(([operation, of]) => {
    const theirs = of.map((test) => other.get(keyOf(test))).filter(Boolean);
    return [
      operation,
      count(of, "passed"),
      count(of, "failed"),
      count(of, "skipped"),
      theirs.length === 0 ? "" : count(theirs, "passed"),
    ];
  });
  return [
    "## By operation",
    "",
    ...table(["What is tested", "Passed", "Failed", "Skipped", "radosgw passed"], rows),
    "",
  ];
}

function notPassed({ tests }, reasons, other) {
  const left = tests.filter(({ outcome }) => outcome !== "passed");
  const because = (test) =>
    reasonOf(test, reasons) ??
    (test.outcome === "skipped" ? `The suite skips it: ${test.message.replace(/^Skipped: /, "")}` : "To be mended");
  const lines = [...groupBy(left, because)].toSorted(byFirst).flatMap(([reason, of]) => [
    `### ${reason.replace(/\.$/, "")}`,
    "",
    ...table(
      ["Test", "Here", "radosgw"],
      of.map((test) => [`\`${test.name}\``, test.outcome, other.get(keyOf(test))?.outcome ?? ""]),
    ),
    "",
  ]);
  return ["## Not passed, and why", "", ...lines];
}

function count(tests, outcome) {
  return tests.filter((test) => test.outcome === outcome).length;
}

function keyOf({ file, name }) {
  return `${file} ${name}`;
}

function groupBy(items, keyOfItem) {
  const groups = new Map();
  for (const item of items) {
    const key = keyOfItem(item);
    groups.set(key, [...(groups.get(key) ?? []), item]);
  }
  return groups;
}

function byFirst([one], [other]) {
  return one < other ? -1 : 1;
}

function table(head, rows) {
  const line = (cells) => `| ${cells.map((cell) => String(cell).replaceAll("|", "\\|")).join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)];
}
