import { PassThrough } from "node:stream";
import { expect, test } from "vitest";
import { createQuestions } from "./ask.ts";
import { createContext } from "./context.ts";

function asker(input: string | undefined, signal = new AbortController().signal) {
  const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()];
  if (input !== undefined) stdin.end(input);
  const questions = createQuestions(createContext({ stdin, stdout, stderr, env: {} }, {}, signal));
  return { questions, said: () => String(stderr.read() ?? "") };
}

test.each([
  ["y\n", true],
  ["yes\n", true],
  ["Y\n", true],
  ["  YES \r\n", true],
  ["y", true],
  ["n\n", false],
  ["\n", false],
  ["yess\n", false],
  ["oh y\n", false],
  ["yn\n", false],
])("the answer %j is a yes: %s", async (input, expected) => {
  const { questions } = asker(input);
  expect(await questions.ask("Sure?")).toBe(expected);
  questions.close();
});

test("each question takes one line, and the end of the input is a no", async () => {
  const { questions, said } = asker("y\nn\ny\n");
  const answers = [await questions.ask("One?"), await questions.ask("Two?"), await questions.ask("Three\u001b?")];
  expect(answers).toEqual([true, false, true]);
  expect(said()).toBe("One? [y/N] Two? [y/N] Three\\u{1b}? [y/N] ");
  expect(await questions.ask("Four?")).toBe(false);
  expect(said()).toBe("Four? [y/N] \n");
  questions.close();
});

test("whoever is told to stop waits for no answer", async () => {
  const controller = new AbortController();
  const { questions } = asker(undefined, controller.signal);
  const asked = questions.ask("Sure?");
  controller.abort(new DOMException("Stopped.", "AbortError"));
  await expect(asked).rejects.toMatchObject({ name: "AbortError" });
  questions.close();
});
