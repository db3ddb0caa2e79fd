import { expect, it } from "vitest";
import { failureFrom, toError } from "./failures.ts";

/** Names that every object answers to. A hostile or broken endpoint may use them as its codes. */
const NAMES_OF_OBJECTS = ["constructor", "toString", "valueOf", "hasOwnProperty", "__proto__"];

it.each(NAMES_OF_OBJECTS)(
  "a code that no S3 endpoint has, %s, leaves it to the status to say what is wrong",
  (code) => {
    const answer = (status: number) =>
      toError(failureFrom("s3.get", status, `<Error><Code>${code}</Code></Error>`, {}));
    expect(answer(503)).toMatchObject({ code: "Unavailable", retry: "safe" });
    expect(answer(404)).toMatchObject({ code: "NotFound", message: "The object is not there." });
    expect(answer(418)).toMatchObject({ code: "InvalidArgument", context: { s3Code: code, status: 418 } });
  },
);
