import { expect, it } from "vitest";
import { createFakeClock } from "../../core/testing/fake-clock.ts";
import { withSigns } from "./signs-of-life.ts";

it("gives signs while work takes long, and none once it has ended", async () => {
  const clock = createFakeClock();
  let signs = 0;
  const count = (): void => void (signs += 1);
  expect(await withSigns(clock, count, () => Promise.resolve("quick"))).toBe("quick");
  let end: (value: string) => void = () => undefined;
  const slow = withSigns(clock, count, async () => await new Promise<string>((resolve) => (end = resolve)));
  await clock.advance(9_999);
  expect(signs).toBe(0);
  await clock.advance(25_001);
  expect(signs).toBe(3);
  end("slow");
  expect(await slow).toBe("slow");
  await clock.advance(60_000);
  expect(signs).toBe(3);
  const failed = withSigns(clock, count, () => Promise.reject(new Error("no")));
  await expect(failed).rejects.toThrow("no");
  await clock.advance(60_000);
  expect(signs).toBe(3);
});
