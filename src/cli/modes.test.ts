import { describe, expect, it } from "vitest";
import { modeChange, octal, symbolic } from "./modes.ts";

const changed = (text: string, mode: number, kind: "file" | "directory" = "file"): string =>
  octal(modeChange(text)({ kind, mode }));

describe("a mode", () => {
  it.each([
    ["644", 0o755, "0644"],
    ["4755", 0, "4755"],
    ["u+x", 0o644, "0744"],
    ["go-w", 0o666, "0644"],
    ["a=r", 0o777, "0444"],
    ["=rw", 0o777, "0666"],
    ["u=rw,go=", 0o755, "0600"],
    ["+x", 0o644, "0755"],
    ["u+s,g+s", 0o755, "6755"],
    ["u-s", 0o6755, "2755"],
    ["+t", 0o755, "1755"],
    ["g=", 0o2775, "0705"],
    ["a+X", 0o644, "0644"],
    ["a+X", 0o744, "0755"],
  ])("%s of %o is %s", (text, before, after) => {
    expect(changed(text, before)).toBe(after);
  });

  it("of a directory keeps set-id bits that are not named, and X means search", () => {
    expect([changed("g=rx", 0o2775, "directory"), changed("a+X", 0o600, "directory")]).toEqual(["2755", "0711"]);
  });

  it.each(["", "8", "u", "u+q", "x+r", "u=r;g=r", "77777"])("is not %j", (text) => {
    expect(() => modeChange(text)).toThrow("is no mode");
  });

  it("shows as ls has it", () => {
    const shown = (kind: "file" | "directory" | "symlink", mode: number): string => symbolic({ kind, mode });
    expect([shown("file", 0o644), shown("directory", 0o1777), shown("symlink", 0o777), shown("file", 0o6744)]).toEqual([
      "-rw-r--r--",
      "drwxrwxrwt",
      "lrwxrwxrwx",
      "-rwsr-Sr--",
    ]);
  });
});
