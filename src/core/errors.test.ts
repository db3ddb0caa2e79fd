import { describe, expect, it } from "vitest";
import { ERROR_CODES, fromErrno, GfsError, isGfsError, toGfsError } from "./errors.ts";

describe("the error table", () => {
  it("gives every code a status between 400 and 599 and an exit code that is not success", () => {
    for (const [code, meaning] of Object.entries(ERROR_CODES)) {
      expect(meaning.http, code).toBeGreaterThanOrEqual(400);
      expect(meaning.http, code).toBeLessThan(600);
      expect(meaning.exit, code).not.toBe(0);
      expect(meaning.errno, code).toMatch(/^E[A-Z]+$/);
    }
  });
});

describe("translation", () => {
  it("turns an errno into a code and a sentence that says what to do", () => {
    const full = fromErrno(Object.assign(new Error("write"), { code: "ENOSPC" }), "store.put");
    expect(full.code).toBe("NoSpace");
    expect(full.message).toMatch(/free some space/);
    expect(full.op).toBe("store.put");
  });

  it("takes an abort for a cancellation and anything unknown for an internal failure", () => {
    expect(toGfsError(new DOMException("stop", "AbortError")).code).toBe("Canceled");
    expect(toGfsError("boom").code).toBe("Internal");
    expect(fromErrno(new Error("boom"), "x").code).toBe("Internal");
  });

  it("passes its own errors on as they are", () => {
    const error = new GfsError("NotFound", "There is no such thing.");
    expect(toGfsError(error)).toBe(error);
    expect(fromErrno(error, "x")).toBe(error);
  });

  it("knows which failures may be tried again", () => {
    expect(new GfsError("Unavailable", "x").retry).toBe("safe");
    expect(new GfsError("NotFound", "x").retry).toBe("never");
    expect(new GfsError("Unavailable", "x", { retry: "exhausted" }).retry).toBe("exhausted");
    expect(isGfsError(new GfsError("NotFound", "x"), "NotFound", "Timeout")).toBe(true);
    expect(isGfsError(new Error("x"))).toBe(false);
  });
});
