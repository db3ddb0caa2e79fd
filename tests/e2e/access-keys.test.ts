import { request } from "undici";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type KnownAccessKey } from "../../src/coordinator/index.ts";
import { serveInProcess, type Served } from "../../src/cli/testing/served.ts";

let served: Served;
const env = { GLOBALFS_API_KEY: "the API key of this test" };
beforeAll(async () => {
  served = await serveInProcess({}, env.GLOBALFS_API_KEY);
});
afterAll(async () => await served.stop());

const run: Served["run"] = (words) => served.run(words, { env });
const find = (id: string): KnownAccessKey | undefined =>
  served.rig.coordinator.findAccessKey(id) as KnownAccessKey | undefined;

describe("access keys", () => {
  test("are made, listed, shown, checked and revoked on the command line", async () => {
    const made = await run(["key", "create", "--name", "alice", "--path", "/data/raw", "--role", "writer"]);
    expect([made.exit, made.err]).toEqual([0, expect.stringContaining("of alice (writer of /data/raw)")]);
    const [, id = "", secret = "", token = ""] =
      /^export AWS_ACCESS_KEY_ID=(\w+)\nexport AWS_SECRET_ACCESS_KEY=(\S+)\nexport GLOBALFS_API_KEY=(\S+)\n$/.exec(
        made.out,
      ) ?? [];
    expect(token).toBe(`gfs_${id}.${secret}`);
    expect(find(id)).toMatchObject({ id, secret, user: "alice", grants: [{ path: "data/raw", role: "writer" }] });

    const listed = await run(["key", "list"]);
    expect(listed.out).toMatch(
      new RegExp(`^ID +USER +ROLE +PATH +EXPIRES\\n${id} +alice +writer +/data/raw +never\\n$`),
    );
    expect(listed.out).not.toContain(secret);

    const own = { env: { GLOBALFS_API_KEY: token } };
    expect((await served.run(["key", "show"], own)).out).toMatch(
      new RegExp(`^Key: +${id}\nUser: +alice\nMay: +writer`),
    );
    expect((await served.run(["key", "check", "self", "data/raw/x"], own)).out).toMatch(/^s3:PutObject +yes +The key/m);
    const check = ["key", "check", id, "data/other", "--action"];
    expect((await run([...check, "write"])).exit).toBe(5);
    expect((await run(["key", "check", id, "data/raw/x", "--action", "write"])).exit).toBe(0);
    expect(JSON.parse((await run([...check, "read", "--json"])).out)).toMatchObject({
      id,
      permissions: [{ action: "s3:GetObject", allowed: false, by: "nothing" }],
    });
    expect((await served.run(["status"], own)).exit).toBe(5);

    expect((await run(["key", "revoke", id])).exit).toBe(0);
    expect(find(id)).toBeUndefined();
    expect((await served.run(["key", "show"], own)).exit).toBe(5);
    const again = await run(["key", "revoke", id]);
    expect([again.exit, again.err]).toEqual([4, expect.stringContaining("no such access key")]);
  });

  test("may have several grants", async () => {
    const grants = ["--grant", "/raw:reader", "--grant", "data:2026:writer"];
    const made = await run([
      "key",
      "create",
      "--name",
      "etl",
      "--path",
      "/own",
      "--role",
      "admin",
      ...grants,
      "--json",
    ]);
    expect(made.exit).toBe(0);
    const { id } = JSON.parse(made.out) as { id: string };
    expect(find(id)?.grants).toEqual([
      { path: "own", role: "admin" },
      { path: "raw", role: "reader" },
      { path: "data:2026", role: "writer" },
    ]);
    const some = await run(["key", "create", "--name", "etl", ...grants]);
    expect(some.err).toContain("of etl (reader of /raw, writer of /data:2026)");
  });

  test("that are temporary come with a session token", async () => {
    const words = ["key", "create", "--name", "bob", "--path", "/", "--role", "user", "--expires", "90s", "--json"];
    const { exit, out } = await run(words);
    expect(exit).toBe(0);
    const shown = JSON.parse(out) as Record<string, string>;
    const known = find(shown["id"] as string);
    expect(shown).toMatchObject({ user: "bob", secret: known?.secret, session_token: known?.sessionToken });
    expect(Date.parse(shown["expires_at"] as string) - Date.parse(shown["created_at"] as string)).toBe(90_000);
    expect(
      (await run(["key", "create", "--name", "bob", "--path", "/", "--role", "user", "--expires", "90s"])).out,
    ).toMatch(
      /^export AWS_ACCESS_KEY_ID=\w+\nexport AWS_SECRET_ACCESS_KEY=\S+\nexport AWS_SESSION_TOKEN=\S+\nexport GLOBALFS_API_KEY=gfs_\S+\n$/,
    );
  });

  test.each([
    [["--name", "x", "--path", "/"], /--path and --role together/],
    [["--name", "x"], /what the key may do/],
    [["--name", "x", "--grant", "data"], /Write PATH:ROLE/],
    [["--name", "x", "--grant", "data:king"], /Write PATH:ROLE/],
    [["--name", "x", "--path", "/", "--role", "king"], /Allowed choices are reader, writer, admin, user/],
    [["--name", "x", "--path", "/", "--role", "user", "--expires", "soon"], /is not a duration/],
    [["--name", "x", "--path", "a/../b", "--role", "user"], /names no file/],
    [["--name", "x y", "--path", "/", "--role", "user"], /user's name/],
  ])("with %j are refused with a sentence", async (words, message) => {
    const { exit, out, err } = await run(["key", "create", ...words]);
    expect([exit, out]).toEqual([2, ""]);
    expect(err).toMatch(message);
  });

  test("over REST ask for the API key, tell the secret once and are kept by no cache", async () => {
    const call = async (
      method: "GET" | "POST" | "DELETE",
      path: string,
      body?: unknown,
      key = env.GLOBALFS_API_KEY,
    ) => {
      const answer = await request(`${served.url}${path}`, {
        method,
        headers: { "x-globalfs-api-key": key, "content-type": "application/json" },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      return { status: answer.statusCode, headers: answer.headers, text: await answer.body.text() };
    };
    const wish = {
      user: "carol",
      grants: [{ path: "", role: "admin" }],
      id: "MYOWNKEY",
      secret: "my own secret!".replaceAll(" ", "-"),
    };
    for (const [method, path] of [
      ["GET", "/api/v1/keys"],
      ["POST", "/api/v1/keys"],
      ["DELETE", "/api/v1/keys/X"],
    ] as const) {
      expect((await call(method, path, method === "POST" ? wish : undefined, "wrong")).status).toBe(401);
    }
    const made = await call("POST", "/api/v1/keys", wish);
    expect(made.status).toBe(201);
    expect(made.headers["cache-control"]).toBe("no-store");
    expect(JSON.parse(made.text)).toMatchObject({ id: "MYOWNKEY", secret: wish.secret });
    expect((await call("POST", "/api/v1/keys", wish)).status).toBe(409);
    expect((await call("GET", "/api/v1/keys")).text).not.toContain(wish.secret);
    expect((await call("POST", "/api/v1/keys", { ...wish, colour: 1 })).status).toBe(400);
    expect((await call("DELETE", "/api/v1/keys/MYOWNKEY")).status).toBe(204);
    expect((await call("DELETE", "/api/v1/keys/MYOWNKEY")).status).toBe(404);
  });
});
