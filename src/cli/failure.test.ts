import { GlobalFsError } from "@globalfs/client";
import { describe, expect, test } from "vitest";
import { ERROR_CODES, type ErrorCode, EXIT, GfsError } from "../core/errors.ts";
import { FILE_SENTENCES, failureOf, OWN_CODES, PartialError, UsageError } from "./failure.ts";
import { BrokenPipe } from "./terminal.ts";

describe("the exit code of a failure", () => {
  test.each(Object.keys(ERROR_CODES) as ErrorCode[])(
    "is that of the error table for %s, here or at the coordinator",
    (code) => {
      const { exit } = ERROR_CODES[code];
      expect(failureOf(new GfsError(code, "Why."))).toMatchObject({ code, message: "Why.", exit });
      expect(failureOf(new GlobalFsError(code, "Why.", { requestId: "r" }))).toMatchObject({
        code,
        exit,
        requestId: "r",
      });
    },
  );

  test.each(Object.entries(OWN_CODES))("of %s is %i", (code, exit) => {
    expect(failureOf(new GlobalFsError(code, "Why.")).exit).toBe(exit);
  });

  test("of what the command line itself finds is its own", () => {
    expect(failureOf(new UsageError("Why."))).toEqual({ code: "Usage", message: "Why.", exit: 2 });
    expect(failureOf(new PartialError("Why."))).toEqual({ code: "Partial", message: "Why.", exit: 7 });
    expect(failureOf(new BrokenPipe())).toEqual({ code: "BrokenPipe", message: "", exit: 141 });
    expect(failureOf(new DOMException("x", "AbortError"))).toEqual({
      code: "Canceled",
      message: "Stopped.",
      exit: 130,
    });
  });

  test.each(Object.entries(FILE_SENTENCES))(
    "of a local file that answers %s is named with the file",
    (code, [sentence, exit]) => {
      const error = Object.assign(new Error("raw"), { code, path: "/p" });
      expect(failureOf(error)).toEqual({ code, message: `/p: ${sentence}.`, exit });
    },
  );

  test("of anything else is 1, and says what it was", () => {
    expect(failureOf(new GlobalFsError("Strange", "Why."))).toMatchObject({ code: "Strange", exit: EXIT.failure });
    expect(failureOf(Object.assign(new Error("raw"), { code: "EIO", path: "/p" }))).toEqual({
      code: "EIO",
      message: "/p: the disk answered EIO.",
      exit: EXIT.failure,
    });
    expect(failureOf(new TypeError("odd"))).toEqual({ code: "Internal", message: "Unexpected failure: odd", exit: 1 });
    expect(failureOf("text")).toMatchObject({ code: "Internal", message: "Unexpected failure: text" });
  });
});

test("a hint says what to do when nobody answers, or wants a key, and only then", () => {
  expect(failureOf(new GlobalFsError("Unreachable", "x")).hint).toContain("globalfs up");
  expect(failureOf(new GlobalFsError("Unauthenticated", "x")).hint).toContain("--api-key");
  expect(failureOf(new GlobalFsError("NotFound", "x"))).not.toHaveProperty("hint");
  expect(failureOf(new GlobalFsError("NotFound", "x"))).not.toHaveProperty("requestId");
});
