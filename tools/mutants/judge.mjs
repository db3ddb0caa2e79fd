// Runs the tests that reach a mutation until one of them notices it.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** A machine that does other things, too, must not kill mutants by being slow. */
const BASE_LIMIT_MS = 20_000;
const TIMES_AS_LONG = 8;

export class Judge {
  #root;
  #session;
  #covered;
  #stages;
  #changed = new Set();
  /** Tests that pass when they run alone in the unchanged tree, and files whose tests need each other. */
  #alone = new Set();
  #whole = new Set();

  /** `covered` is what findReached found; `stages` are lists of test files, in the order in which they are asked. */
  constructor({ root, session, covered, stages }) {
    this.#root = root;
    this.#session = session;
    this.#covered = covered;
    this.#stages = stages;
  }

  /** Whether a mutant is noticed, by what, and how many tests have run. */
  async judge(mutation) {
    for (;;) {
      const verdict = await this.#ask(mutation);
      if (verdict !== undefined) return verdict;
    }
  }

  /** Undefined when a file's tests turned out to need each other: then it has to be asked again. */
  async #ask(mutation) {
    const text = readFileSync(join(this.#root, mutation.file), "utf8");
    this.#write(mutation.file, text.slice(0, mutation.start) + mutation.replacement + text.slice(mutation.end));
    let ran = 0;
    try {
      for (const stage of this.#stages) {
        const selections = this.#select(mutation, stage);
        if (selections.length === 0) continue;
        const answer = await this.#run(selections);
        ran += answer.ran;
        if (answer.ended !== undefined) return { killed: true, by: `the tests ${answer.ended}`, ran };
        const [failure] = answer.failed;
        if (failure === undefined) continue;
        this.#write(mutation.file, text);
        if (!(await this.#passesAlone(failure))) return undefined;
        if (stage.always && !(await this.#failsAgain(mutation, text, selections))) continue;
        return { killed: true, by: `${failure.test}: ${failure.reason}`, ran };
      }
      return { killed: false, ran };
    } finally {
      this.#write(mutation.file, text);
    }
  }

  /** Tests of one file may lean on each other; then a failure of some of them, run without the rest, says nothing. */
  async #passesAlone({ file, testId }) {
    if (testId === undefined || this.#alone.has(testId) || this.#whole.has(file)) return true;
    const { failed, ended } = await this.#run([{ file, testIds: [testId], ms: this.#covered.tests.get(testId).ms }]);
    const passes = failed.length === 0 && ended === undefined;
    if (passes) this.#alone.add(testId);
    else this.#whole.add(file);
    return passes;
  }

  /** What tests of other processes say may hang on time; it counts when they say it twice. */
  async #failsAgain(mutation, text, selections) {
    this.#write(mutation.file, text.slice(0, mutation.start) + mutation.replacement + text.slice(mutation.end));
    const { failed, ended } = await this.#run(selections);
    return failed.length > 0 || ended !== undefined;
  }

  async #run(selections) {
    const changed = [...this.#changed];
    this.#changed.clear();
    const expectedMs = selections.reduce((sum, { ms }) => sum + ms, 0);
    return await this.#session.run({ changed, selections, limitMs: BASE_LIMIT_MS + TIMES_AS_LONG * expectedMs });
  }

  /** The tests of a stage that reach the mutation, quick files first. */
  #select(mutation, { files, always }) {
    const byFile = new Map();
    for (const test of this.#covered.tests.values()) {
      if (!files.includes(test.file) || !(always || this.#reaches(test, mutation))) continue;
      const selection = byFile.get(test.file) ?? { file: join(this.#root, test.file), testIds: [], ms: 0 };
      selection.testIds.push(test.id);
      selection.ms += test.ms;
      byFile.set(test.file, selection);
    }
    return [...byFile.values()]
      .map((selection) => (always || this.#whole.has(selection.file) ? this.#wholeFile(selection) : selection))
      .sort((a, b) => a.ms - b.ms);
  }

  #wholeFile({ file }) {
    const tests = [...this.#covered.tests.values()].filter((test) => join(this.#root, test.file) === file);
    return { file, testIds: tests.map(({ id }) => id), ms: tests.reduce((sum, { ms }) => sum + ms, 0) };
  }

  /** What runs when modules are loaded, or before a file's tests, is reached by whoever reaches anything of the module. */
  #reaches({ probes }, { probe, module }) {
    if (probe !== undefined && !this.#covered.outside.has(probe)) return probes.has(probe);
    if (module.first === module.end) return true;
    for (let any = module.first; any < module.end; any += 1) if (probes.has(any)) return true;
    return false;
  }

  #write(file, text) {
    writeFileSync(join(this.#root, file), text);
    this.#changed.add(file);
  }
}
