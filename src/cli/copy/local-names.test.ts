import { expect, test } from "vitest";
import { localPathOf, shownPath, textOfName } from "./local-names.ts";

test.each(["../x", "a/../../x", "a//b", "/a", "a/", ".", "", "a\0b"])(
  "%j is never written to the local disk",
  (key) => {
    expect(localPathOf(key)).toBeUndefined();
  },
);

test("ordinary keys are local paths as they are", () => {
  expect(localPathOf("a/b c/..d")).toBe("a/b c/..d");
});

test("a name that is not UTF-8 has no text, and is shown with its bytes", () => {
  const name = Buffer.from([0x61, 0xff, 0xc3, 0xbc, 0x1b, 0xe2, 0x82]);
  expect(textOfName(name)).toBeUndefined();
  expect(textOfName(Buffer.from("aü"))).toBe("aü");
  expect(shownPath(name)).toBe("a\\xffü\\u{1b}\\xe2\\x82");
  expect(shownPath(Buffer.from("dir/👩‍💻\n"))).toBe("dir/👩‍💻\\u{a}");
  expect(shownPath("plain\u001b")).toBe("plain\\u{1b}");
});
