import { expect, it } from "vitest";
import { toAzureError } from "./failures.ts";

/** Names that every object answers to. A hostile or broken endpoint may use them as its codes. */
const NAMES_OF_OBJECTS = ["constructor", "toString", "valueOf", "hasOwnProperty", "__proto__"];

it.each(NAMES_OF_OBJECTS)(
  "a code that Azure does not have, %s, leaves it to the status to say what is wrong",
  (code) => {
    const signal = new AbortController().signal;
    const answer = (statusCode: number) =>
      toAzureError({ statusCode, details: { errorCode: code } }, "azure.get", signal);
    expect(answer(503)).toMatchObject({ code: "Unavailable", retry: "safe" });
    expect(answer(404)).toMatchObject({ code: "NotFound", message: "The object is not there." });
    expect(answer(418)).toMatchObject({ code: "InvalidArgument", context: { azureCode: code, status: 418 } });
  },
);
