import { describe, expect, it } from "vitest";
import { UploadGate } from "./upload-gate.ts";

const turn = async (): Promise<void> => await new Promise((resolve) => setImmediate(resolve));

function latch(): { readonly opened: Promise<void>; open(): void } {
  let open!: () => void;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}

describe("the gate of an upload", () => {
  it("lets parts land side by side, and the end waits for them", async () => {
    const gate = new UploadGate();
    const seen: string[] = [];
    const [one, other] = [latch(), latch()];
    const landing = [
      gate.land("u", async () => await one.opened),
      gate.land("u", async () => {
        seen.push("side by side");
        await other.opened;
      }),
    ];
    const ended = gate.end("u", async () => void seen.push("end"));
    await turn();
    one.open();
    await turn();
    expect(seen).toEqual(["side by side"]);
    other.open();
    await Promise.all([...landing, ended]);
    expect(seen).toEqual(["side by side", "end"]);
  });

  it("holds parts back while the upload is ended, one end at a time, and other uploads do not notice", async () => {
    const gate = new UploadGate();
    const seen: string[] = [];
    const ending = latch();
    const first = gate.end("u", async () => {
      await ending.opened;
      seen.push("first end");
    });
    await turn();
    const second = gate.end("u", async () => void seen.push("second end"));
    const part = gate.land("u", async () => void seen.push("part"));
    await gate.land("v", async () => void seen.push("other"));
    await turn();
    expect(seen).toEqual(["other"]);
    ending.open();
    await Promise.all([first, second, part]);
    expect(seen.slice(0, 2)).toEqual(["other", "first end"]);
    expect(seen.toSorted()).toEqual(["first end", "other", "part", "second end"]);
  });

  it("opens again after an end that failed", async () => {
    const gate = new UploadGate();
    await expect(gate.end("u", async () => await Promise.reject(new Error("no")))).rejects.toThrow("no");
    expect(await gate.land("u", async () => "landed")).toBe("landed");
  });
});
