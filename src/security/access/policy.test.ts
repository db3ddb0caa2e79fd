import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createFakeClock } from "../../core/testing/fake-clock.ts";
import type { Facts } from "./condition-keys.ts";
import { ANONYMOUS, canonicalUserId } from "./identity.ts";
import { parsePolicy } from "./policy-document.ts";
import { isPublicPolicy, judge } from "./policy.ts";
import type { Identity } from "./types.ts";

const clock = createFakeClock();

function user(name: string): Identity {
  return { kind: "user", user: name, userId: canonicalUserId(name), accessKeyId: "AK", grants: [] };
}

interface Given {
  readonly who?: Identity;
  readonly action?: string;
  readonly resource?: string;
  readonly headers?: Record<string, string>;
  readonly query?: Record<string, string>;
  readonly address?: string;
  readonly tags?: Record<string, string>;
  readonly requestTags?: Record<string, string>;
}

function facts(given: Given): Facts {
  return {
    identity: given.who ?? user("bob"),
    clock,
    circumstances: {
      address: given.address ?? "10.1.2.3",
      tlsVersion: undefined,
      header: (name) => given.headers?.[name],
      parameter: (name) => given.query?.[name],
    },
    ...(given.tags === undefined ? {} : { existingTags: given.tags }),
    ...(given.requestTags === undefined ? {} : { requestTags: given.requestTags }),
  };
}

const ALLOW = {
  Effect: "Allow",
  Principal: "*",
  Action: "s3:GetObject",
  Resource: "arn:aws:s3:::box/*",
};

function decide(statements: readonly object[], given: Given = {}): string {
  const policy = parsePolicy(JSON.stringify({ Version: "2012-10-17", Statement: statements }), "box");
  const statement = judge(policy, {
    action: given.action ?? "s3:GetObject",
    resource: given.resource ?? "box/k",
    facts: facts(given),
  });
  return statement?.effect.toLowerCase() ?? "silent";
}

describe("a policy", () => {
  const cases: readonly [string, object, Given, string][] = [
    ["allows what it names", ALLOW, {}, "allow"],
    ["allows who does not sign, when it is for everybody", ALLOW, { who: ANONYMOUS }, "allow"],
    ["is silent on other actions", ALLOW, { action: "s3:PutObject" }, "silent"],
    ["is silent on other resources", ALLOW, { resource: "box" }, "silent"],
    ["takes wildcards in actions, in any case", { ...ALLOW, Action: ["s3:get*"] }, {}, "allow"],
    ["takes a star for all actions", { ...ALLOW, Action: "*" }, { action: "s3:PutObject" }, "allow"],
    ["takes ? for one character", { ...ALLOW, Resource: "arn:aws:s3:::box/?" }, {}, "allow"],
    ["takes ? for one character only", { ...ALLOW, Resource: "arn:aws:s3:::box/?" }, { resource: "box/kk" }, "silent"],
    ["leaves out with NotAction", { ...ALLOW, Action: undefined, NotAction: "s3:GetObject" }, {}, "silent"],
    [
      "leaves out with NotResource",
      { ...ALLOW, Resource: undefined, NotResource: "arn:aws:s3:::box/secret/*" },
      { resource: "box/secret/a" },
      "silent",
    ],
    ["knows users by name", { ...ALLOW, Principal: { AWS: "arn:aws:iam:::user/bob" } }, {}, "allow"],
    ["knows users in a path", { ...ALLOW, Principal: { AWS: "arn:aws:iam::bob:user/team/bob" } }, {}, "allow"],
    ["knows users as roots", { ...ALLOW, Principal: { AWS: "arn:aws:iam::bob:root" } }, {}, "allow"],
    ["knows users by canonical id", { ...ALLOW, Principal: { CanonicalUser: canonicalUserId("bob") } }, {}, "allow"],
    ["knows ids as AWS", { ...ALLOW, Principal: { AWS: [canonicalUserId("bob")] } }, {}, "allow"],
    [
      "knows ids as accounts",
      { ...ALLOW, Principal: { AWS: `arn:aws:iam::${canonicalUserId("bob")}:user/bob` } },
      {},
      "allow",
    ],
    [
      "takes users of other accounts for others",
      { ...ALLOW, Principal: { AWS: "arn:aws:iam::123456789012:user/bob" } },
      {},
      "silent",
    ],
    ["does not take others for a user", { ...ALLOW, Principal: { AWS: "arn:aws:iam:::user/eve" } }, {}, "silent"],
    [
      "does not take who does not sign for a user",
      { ...ALLOW, Principal: { AWS: "arn:aws:iam:::user/bob" } },
      { who: ANONYMOUS },
      "silent",
    ],
    [
      "denies all but NotPrincipal",
      { ...ALLOW, Effect: "Deny", Principal: undefined, NotPrincipal: { AWS: "arn:aws:iam:::user/eve" } },
      {},
      "deny",
    ],
    [
      "spares NotPrincipal",
      { ...ALLOW, Effect: "Deny", Principal: undefined, NotPrincipal: { AWS: "arn:aws:iam:::user/bob" } },
      {},
      "silent",
    ],
    [
      "puts variables in",
      { ...ALLOW, Resource: "arn:aws:s3:::box/${aws:username}/*" },
      { resource: "box/bob/x" },
      "allow",
    ],
    [
      "puts only the asker's variables in",
      { ...ALLOW, Resource: "arn:aws:s3:::box/${aws:username}/*" },
      { resource: "box/eve/x" },
      "silent",
    ],
    [
      "has no variables of those who do not sign",
      { ...ALLOW, Resource: "arn:aws:s3:::box/${aws:username}/*" },
      { resource: "box//x", who: ANONYMOUS },
      "silent",
    ],
  ];
  it.each(cases)("%s", (_name, statement, given, expected) => {
    expect(decide([statement], given)).toBe(expected);
  });

  it("lets a Deny win over an Allow in either order", () => {
    const deny = { ...ALLOW, Effect: "Deny" };
    expect(decide([ALLOW, deny])).toBe("deny");
    expect(decide([deny, ALLOW])).toBe("deny");
  });

  it("does not put a name with a wildcard in for a pattern", () => {
    const statement = { ...ALLOW, Resource: "arn:aws:s3:::box/${aws:username}" };
    expect(decide([statement], { who: user("*"), resource: "box/anything" })).toBe("silent");
    expect(decide([statement], { who: user("*"), resource: "box/*" })).toBe("allow");
  });
});

describe("a condition", () => {
  const when = (condition: object): object => ({ ...ALLOW, Condition: condition });
  const cases: readonly [string, object, Given, boolean][] = [
    ["StringEquals", { StringEquals: { "s3:prefix": ["a", "b"] } }, { query: { prefix: "b" } }, true],
    ["StringEquals takes no wildcards", { StringEquals: { "s3:prefix": "a*" } }, { query: { prefix: "ab" } }, false],
    ["StringEquals is false without the fact", { StringEquals: { "s3:prefix": "a" } }, {}, false],
    ["StringNotEquals", { StringNotEquals: { "s3:prefix": ["a", "b"] } }, { query: { prefix: "b" } }, false],
    ["StringNotEquals is true without the fact", { StringNotEquals: { "s3:prefix": "a" } }, {}, true],
    ["StringEqualsIgnoreCase", { StringEqualsIgnoreCase: { "aws:username": "BOB" } }, {}, true],
    [
      "StringLike",
      { StringLike: { "aws:Referer": "http://www.example.com/*" } },
      { headers: { referer: "http://www.example.com/x" } },
      true,
    ],
    ["StringNotLike", { StringNotLike: { "aws:UserAgent": "curl*" } }, { headers: { "user-agent": "curl/8" } }, false],
    ["IfExists without the fact", { StringLikeIfExists: { "aws:Referer": "http://a/*" } }, {}, true],
    [
      "IfExists with another fact",
      { StringLikeIfExists: { "aws:Referer": "http://a/*" } },
      { headers: { referer: "http://b/" } },
      false,
    ],
    ["NumericLessThanEquals", { NumericLessThanEquals: { "s3:max-keys": 10 } }, { query: { "max-keys": "10" } }, true],
    ["NumericGreaterThan", { NumericGreaterThan: { "s3:max-keys": "10" } }, { query: { "max-keys": "10" } }, false],
    [
      "NumericEquals on what is no number",
      { NumericEquals: { "s3:max-keys": "10" } },
      { query: { "max-keys": "ten" } },
      false,
    ],
    ["DateGreaterThan", { DateGreaterThan: { "aws:CurrentTime": "2029-12-31T00:00:00Z" } }, {}, true],
    ["DateLessThan", { DateLessThan: { "aws:CurrentTime": "2029-12-31" } }, {}, false],
    ["Bool", { Bool: { "aws:SecureTransport": "false" } }, {}, true],
    ["IpAddress", { IpAddress: { "aws:SourceIp": ["192.168.0.0/16", "10.0.0.0/8"] } }, {}, true],
    [
      "IpAddress of IPv4 in IPv6",
      { IpAddress: { "aws:SourceIp": "10.0.0.0/8" } },
      { address: "::ffff:10.1.2.3" },
      true,
    ],
    ["IpAddress of IPv6", { IpAddress: { "aws:SourceIp": "2001:db8::/32" } }, { address: "2001:db8::1" }, true],
    ["NotIpAddress", { NotIpAddress: { "aws:SourceIp": "10.0.0.0/8" } }, {}, false],
    ["Null true", { Null: { "s3:x-amz-acl": "true" } }, {}, true],
    ["Null false", { Null: { "s3:x-amz-acl": "false" } }, {}, false],
    ["headers", { StringEquals: { "s3:x-amz-acl": "public-read" } }, { headers: { "x-amz-acl": "public-read" } }, true],
    [
      "the copy source without its slash",
      { StringLike: { "s3:x-amz-copy-source": "a/b*" } },
      { headers: { "x-amz-copy-source": "/a/b%20c" } },
      true,
    ],
    [
      "tags that the object has",
      { StringEquals: { "s3:ExistingObjectTag/Class": "open" } },
      { tags: { Class: "open" } },
      true,
    ],
    [
      "the case of tags",
      { StringEquals: { "s3:ExistingObjectTag/class": "open" } },
      { tags: { Class: "open" } },
      false,
    ],
    [
      "tags that the request brings",
      { StringEquals: { "s3:RequestObjectTag/a": "1" } },
      { headers: { "x-amz-tagging": "a=1&b=2" } },
      true,
    ],
    [
      "ForAllValues",
      { "ForAllValues:StringEquals": { "s3:RequestObjectTagKeys": ["a", "b"] } },
      { requestTags: { a: "1" } },
      true,
    ],
    [
      "ForAllValues with another",
      { "ForAllValues:StringEquals": { "s3:RequestObjectTagKeys": ["a"] } },
      { requestTags: { a: "1", c: "" } },
      false,
    ],
    [
      "ForAnyValue",
      { "ForAnyValue:StringEquals": { "s3:RequestObjectTagKeys": ["a"] } },
      { requestTags: { a: "1", c: "" } },
      true,
    ],
    ["ForAnyValue without the fact", { "ForAnyValue:StringEquals": { "s3:RequestObjectTagKeys": ["a"] } }, {}, false],
    ["ArnLike", { ArnLike: { "aws:Referer": "arn:aws:*" } }, { headers: { referer: "arn:aws:x" } }, true],
    [
      "several operators, all of which must hold",
      { Bool: { "aws:SecureTransport": "false" }, StringEquals: { "aws:username": "eve" } },
      {},
      false,
    ],
    [
      "variables in values",
      { StringEquals: { "s3:prefix": "home/${aws:username}" } },
      { query: { prefix: "home/bob" } },
      true,
    ],
    [
      "a star that a variable stands for",
      { StringEquals: { "s3:prefix": "a${*}" } },
      { query: { prefix: "a*" } },
      true,
    ],
  ];
  it.each(cases)("%s", (_name, condition, given, holds) => {
    expect(decide([when(condition)], given)).toBe(holds ? "allow" : "silent");
  });
});

describe("a document that cannot be held as it is written", () => {
  const refused: readonly [string, unknown][] = [
    ["no JSON", "{"],
    ["no object", []],
    ["no statement", { Version: "2012-10-17", Statement: [] }],
    ["an unknown version", { Version: "2020-01-01", Statement: [ALLOW] }],
    ["an unknown element", { Version: "2012-10-17", Statement: [ALLOW], Extra: 1 }],
    ["an unknown element of a statement", { Statement: [{ ...ALLOW, Resources: "x" }] }],
    ["an effect in lower case", { Statement: [{ ...ALLOW, Effect: "allow" }] }],
    ["no principal", { Statement: [{ ...ALLOW, Principal: undefined }] }],
    ["a service as principal", { Statement: [{ ...ALLOW, Principal: { Service: "logging.s3.amazonaws.com" } }] }],
    ["a principal that is no user", { Statement: [{ ...ALLOW, Principal: { AWS: "somebody" } }] }],
    ["both Principal and NotPrincipal", { Statement: [{ ...ALLOW, NotPrincipal: "*" }] }],
    [
      "NotPrincipal with Allow",
      { Statement: [{ ...ALLOW, Principal: undefined, NotPrincipal: { AWS: "arn:aws:iam:::user/x" } }] },
    ],
    ["an action that S3 has not", { Statement: [{ ...ALLOW, Action: "s3:Fetch" }] }],
    ["an action of another service", { Statement: [{ ...ALLOW, Action: "ec2:*" }] }],
    ["the resource of another bucket", { Statement: [{ ...ALLOW, Resource: "arn:aws:s3:::other/*" }] }],
    ["a resource that is none", { Statement: [{ ...ALLOW, Resource: "box/*" }] }],
    [
      "an unknown variable",
      { Version: "2012-10-17", Statement: [{ ...ALLOW, Resource: "arn:aws:s3:::box/${aws:nobody}" }] },
    ],
    [
      "an unknown condition key",
      { Statement: [{ ...ALLOW, Condition: { StringEquals: { "aws:PrincipalOrgID": "o" } } }] },
    ],
    ["an unknown operator", { Statement: [{ ...ALLOW, Condition: { StringMatches: { "s3:prefix": "a" } } }] }],
    ["Null with IfExists", { Statement: [{ ...ALLOW, Condition: { NullIfExists: { "s3:prefix": "true" } } }] }],
    [
      "an address that is none",
      { Statement: [{ ...ALLOW, Condition: { IpAddress: { "aws:SourceIp": "10.0.0.0/40" } } }] },
    ],
    ["a date that is none", { Statement: [{ ...ALLOW, Condition: { DateLessThan: { "aws:CurrentTime": "soon" } } }] }],
    ["a value that is an object", { Statement: [{ ...ALLOW, Condition: { StringEquals: { "s3:prefix": {} } } }] }],
    [
      "the same Sid twice",
      {
        Statement: [
          { ...ALLOW, Sid: "a" },
          { ...ALLOW, Sid: "a" },
        ],
      },
    ],
    ["more than 20 KiB", { Statement: [{ ...ALLOW, Sid: "x".repeat(20_480) }] }],
  ];
  it.each(refused)("is refused: %s", (_name, document) => {
    const text = typeof document === "string" ? document : JSON.stringify(document);
    expect(() => parsePolicy(text, "box")).toThrow(expect.objectContaining({ context: { s3: "MalformedPolicy" } }));
  });

  it("may leave the Sid of any statement empty, which is none, as clients send it", () => {
    const empty = { ...ALLOW, Sid: "" };
    expect(
      parsePolicy(JSON.stringify({ Statement: [empty, empty, { ...ALLOW, Sid: "a" }] }), "box").statements,
    ).toHaveLength(3);
  });

  it("never breaks the reader, whatever it is", () => {
    fc.assert(
      fc.property(fc.oneof(fc.json(), fc.string()), (text) => {
        try {
          parsePolicy(text, "box");
        } catch (error) {
          expect(error).toMatchObject({ context: { s3: "MalformedPolicy" } });
        }
      }),
    );
  });
});

describe("public", () => {
  const isPublic = (statement: object): boolean =>
    isPublicPolicy(parsePolicy(JSON.stringify({ Statement: [statement] }), "box"));

  it("is an Allow for everybody that no condition narrows to a few", () => {
    expect(isPublic(ALLOW)).toBe(true);
    expect(isPublic({ ...ALLOW, Condition: { StringLike: { "s3:prefix": "a*" } } })).toBe(true);
    expect(isPublic({ ...ALLOW, Condition: { IpAddress: { "aws:SourceIp": "0.0.0.0/0" } } })).toBe(true);
    expect(isPublic({ ...ALLOW, Condition: { IpAddress: { "aws:SourceIp": "10.0.0.0/32" } } })).toBe(false);
    expect(isPublic({ ...ALLOW, Condition: { StringEquals: { "aws:username": "bob" } } })).toBe(false);
    expect(isPublic({ ...ALLOW, Principal: { AWS: "arn:aws:iam:::user/bob" } })).toBe(false);
    expect(isPublic({ ...ALLOW, Effect: "Deny" })).toBe(false);
  });
});

describe("whatever the statements", () => {
  const names = ["bob", "eve"] as const;
  const actions = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"] as const;
  const statement = fc.record({
    Effect: fc.constantFrom("Allow", "Deny"),
    Principal: fc.oneof(
      fc.constant("*"),
      fc.constantFrom(...names).map((name) => ({ AWS: `arn:aws:iam:::user/${name}` })),
    ),
    Action: fc.subarray([...actions, "s3:*", "s3:Get*"], { minLength: 1 }),
    Resource: fc.constantFrom("arn:aws:s3:::box/*", "arn:aws:s3:::box/a*", "arn:aws:s3:::*"),
  });
  const asked = fc.record({
    who: fc.constantFrom(...names).map(user),
    action: fc.constantFrom(...actions),
    resource: fc.constantFrom("box/a", "box/b"),
  });

  it("a Deny that applies always wins, and without an Allow nothing is granted", () => {
    fc.assert(
      fc.property(fc.array(statement, { minLength: 1, maxLength: 6 }), asked, (statements, given) => {
        const alone = statements.map((one) => decide([one], given));
        const together = decide(statements, given);
        if (alone.includes("deny")) expect(together).toBe("deny");
        else expect(together).toBe(alone.includes("allow") ? "allow" : "silent");
      }),
    );
  });

  it("the order of statements does not matter", () => {
    fc.assert(
      fc.property(fc.array(statement, { minLength: 1, maxLength: 6 }), asked, (statements, given) => {
        expect(decide(statements.toReversed(), given)).toBe(decide(statements, given));
      }),
    );
  });
});
