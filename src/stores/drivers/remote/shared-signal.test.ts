import { expect, it, onTestFinished } from "vitest";
import { settle } from "../../../core/testing/fake-clock.ts";
import { allowManyListeners } from "./shared-signal.ts";

it("a signal that stops many requests at once warns of no leak", async () => {
  const warned: string[] = [];
  const onWarning = ({ name }: Error): void => void warned.push(name);
  process.on("warning", onWarning);
  onTestFinished(() => void process.off("warning", onWarning));
  const signal = new AbortController().signal;
  for (let request = 0; request < 30; request++) {
    expect(allowManyListeners(signal)).toBe(signal);
    signal.addEventListener("abort", () => undefined);
  }
  await settle();
  expect(warned).toEqual([]);
});
