// A vitest that stays: it is told which file has changed and which tests to run, and says whether they passed. Run by session.mjs.
import { join } from "node:path";
import { createVitest } from "vitest/node";

/** Tests run in the order in which they are asked for. */
class KeepOrder {
  sort(files) {
    return files;
  }
  shard(files) {
    return files;
  }
}

const { root, include, setupFiles } = JSON.parse(process.argv[2]);
const vitest = await createVitest(
  "test",
  {
    root,
    config: false,
    watch: false,
    include,
    setupFiles,
    pool: "threads",
    isolate: false,
    maxWorkers: 1,
    silent: true,
    sequence: { sequencer: KeepOrder },
    reporters: [{}],
    // Long enough on a machine that does other things, too; who hangs is ended from outside.
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
  { server: { watch: null } },
);
const [project] = vitest.projects;

process.on("message", (request) => void answer(request));
process.on("disconnect", () => process.exit(0));
process.send({ id: 0 });

async function answer({ id, bail, changed, selections }) {
  try {
    for (const file of changed) vitest.invalidateFile(join(root, file));
    vitest.config.bail = bail ? 1 : 0;
    project.config.bail = vitest.config.bail;
    vitest.state.clearFiles(
      project,
      selections.map(({ file }) => file),
    );
    const specifications = selections.map(({ file, testIds }) =>
      project.createSpecification(file, testIds === undefined ? undefined : { testIds }),
    );
    const { testModules, unhandledErrors } = await vitest.runTestSpecifications(specifications);
    // Vitest remembers what earlier runs said of other files.
    const asked = new Set(selections.map(({ file }) => file));
    const modules = testModules.filter(({ moduleId }) => asked.has(moduleId));
    process.send({ id, failed: failuresOf(modules, unhandledErrors), ran: countRan(modules) });
  } catch (error) {
    process.send({ id, failed: [{ test: "the run itself", reason: String(error) }], ran: 0 });
  }
}

function failuresOf(modules, unhandled) {
  const failed = [];
  for (const module of modules) {
    for (const test of module.children.allTests("failed")) {
      failed.push({
        file: module.moduleId,
        testId: test.id,
        test: test.fullName,
        reason: firstLine(test.result().errors),
      });
    }
    for (const suite of module.children.allSuites()) {
      if (suite.errors().length > 0)
        failed.push({ file: module.moduleId, test: suite.fullName, reason: firstLine(suite.errors()) });
    }
    if (module.errors().length > 0) {
      failed.push({ file: module.moduleId, test: "the file itself", reason: firstLine(module.errors()) });
    }
  }
  if (unhandled.length > 0) failed.push({ test: "an error outside of all tests", reason: firstLine(unhandled) });
  return failed;
}

function countRan(modules) {
  let ran = 0;
  for (const module of modules)
    for (const test of module.children.allTests()) ran += test.result().state === "skipped" ? 0 : 1;
  return ran;
}

function firstLine([error]) {
  return String(error?.message ?? error).split("\n")[0];
}
