import { describe, expect, it } from "vitest";
import { namesOf } from "./client-certificate.ts";

describe("the names of a client's certificate", () => {
  it.each([
    ["a common name alone", "ann", undefined, ["ann"]],
    [
      "addresses before machines, people and the common name, whatever the order",
      "ann",
      "email:ann@example.org, DNS:host.example.org, IP Address:127.0.0.1, URI:spiffe://example.org/app, DNS:other",
      ["spiffe://example.org/app", "host.example.org", "other", "ann@example.org", "ann"],
    ],
    ["no common name", undefined, "URI:spiffe://example.org/app", ["spiffe://example.org/app"]],
    ["several common names, which are none", ["ann", "bob"], "DNS:host", ["host"]],
    ["nothing", undefined, undefined, []],
    ["an empty name", "", "DNS:", []],
  ] as const)("are told of %s", (_title, CN, subjectaltname, names) => {
    expect(namesOf({ subject: CN === undefined ? {} : { CN }, subjectaltname })).toEqual(names);
  });

  it("are whole, also where one was made to look like several", () => {
    const subjectaltname = String.raw`DNS:"host, URI:spiffe://example.org/admin", email:"a\"b, DNS:c"`;
    expect(namesOf({ subject: { CN: "ann" }, subjectaltname })).toEqual([
      "host, URI:spiffe://example.org/admin",
      'a"b, DNS:c',
      "ann",
    ]);
  });

  it("are none where they cannot be read", () => {
    for (const subjectaltname of [
      "DNS",
      String.raw`DNS:"\x"`,
      'DNS:"open',
      "DNS:a,URI:b",
      'DNS:a"b',
      'DNS:a, URI:"b"c',
    ])
      expect(namesOf({ subject: { CN: "ann" }, subjectaltname }), subjectaltname).toEqual([]);
  });
});
