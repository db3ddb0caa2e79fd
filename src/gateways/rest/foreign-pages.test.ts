import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { serveRest, type ServedRest } from "./testing/served-rest.ts";

/** What a browser sends for a page of somebody else's, to a coordinator on the same machine. */

let served: ServedRest;
beforeAll(async () => {
  served = await serveRest();
  await served.call("PUT", "/api/v1/objects/there", { body: "x" });
});
afterAll(async () => await served.close());

const CLIENT = { "x-globalfs-client": "test" };

describe("a page of another site", () => {
  const CHANGES: [string, string][] = [
    ["POST", "/api/v1/jobs/pause"],
    ["POST", "/api/v1/jobs/resume"],
    ["POST", "/api/v1/jobs/none/cancel"],
    ["POST", "/api/v1/sites/local/import"],
    ["POST", "/api/v1/rename"],
    ["POST", "/api/v1/mkdir"],
    ["POST", "/api/v1/link"],
    ["POST", "/api/v1/attributes"],
    ["POST", "/api/v1/xattrs"],
    ["DELETE", "/api/v1/xattrs"],
    ["POST", "/api/v1/keys"],
    ["DELETE", "/api/v1/keys/none"],
    ["DELETE", "/api/v1/sites/local"],
    ["DELETE", "/api/v1/objects/there"],
    ["PUT", "/api/v1/objects/there"],
  ];

  it.each(CHANGES)("cannot %s %s", async (method, path) => {
    const revision = await served.rig.kv.revision();
    for (const headers of [
      { origin: "http://evil.example" },
      { origin: "null" },
      { origin: "http://127.0.0.1:3000" },
      { origin: `http://localhost:${served.port}` },
      { "sec-fetch-site": "cross-site" },
      // A port of the same host is the same site, and another origin.
      { "sec-fetch-site": "same-site" },
    ] as Record<string, string>[]) {
      const answer = await served.call(method, path, { headers: { ...headers, ...CLIENT } });
      expect([answer.status, answer.json().code, headers]).toEqual([403, "PermissionDenied", headers]);
    }
    expect(await served.rig.kv.revision()).toBe(revision);
  });

  it("cannot send a POST that looks like nobody's, as old browsers do for forms", async () => {
    for (const type of ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
      expect((await served.call("POST", "/api/v1/jobs/pause", { headers: { "content-type": type } })).status).toBe(403);
    expect((await served.call("POST", "/api/v1/jobs/pause")).status).toBe(403);
  });

  it("cannot use what is read here, and may link to it", async () => {
    const read = async (headers: Record<string, string>): Promise<number> =>
      (await served.call("GET", "/api/v1/objects/there", { headers })).status;
    expect(await read({ "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors" })).toBe(403);
    expect(await read({ "sec-fetch-site": "same-site", "sec-fetch-mode": "cors" })).toBe(403);
    expect(await read({ "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate" })).toBe(200);
    const preflight = await served.call("OPTIONS", "/api/v1/jobs/pause", {
      headers: { origin: "http://evil.example", "access-control-request-method": "POST" },
    });
    expect(Object.keys(preflight.headers).filter((name) => name.startsWith("access-control"))).toEqual([]);
  });

  it("gains nothing by a name of its own for this machine, with keys or without", async () => {
    const locked = await serveRest({ apiKey: "secret" });
    try {
      for (const { port, talk } of [served, locked]) {
        const key = port === locked.port ? "X-GlobalFS-API-Key: secret\r\n" : "";
        const request = (host: string): string =>
          `GET /api/v1/info HTTP/1.1\r\nHost: ${host}\r\n${key}Connection: close\r\n\r\n`;
        expect(await talk(request(`evil.example:${port}`)).ended).toMatch(/^HTTP\/1\.1 403 /);
        for (const name of [`localhost:${port}`, `127.0.0.1:${port}`, `[::1]:${port}`, "globalfs.localhost"])
          expect(await talk(request(name)).ended).toMatch(/^HTTP\/1\.1 200 /);
      }
    } finally {
      await locked.close();
    }
  });
});

describe("a page of our own", () => {
  it("may do what its user may", async () => {
    const origin = `http://127.0.0.1:${served.port}`;
    const headers = { origin, "sec-fetch-site": "same-origin", "content-type": "application/json" };
    expect((await served.call("POST", "/api/v1/jobs/pause", { headers })).status).toBe(204);
    expect((await served.call("POST", "/api/v1/jobs/resume", { headers })).status).toBe(204);
    expect((await served.call("PUT", "/api/v1/objects/own", { headers, body: "{}" })).status).toBe(201);
    expect((await served.call("DELETE", "/api/v1/objects/own", { headers })).status).toBe(204);
  });

  it("may come by the name of a proxy that the operator has listed", async () => {
    const proxied = await serveRest({ config: { hostNames: ["globalfs.lab"] } });
    try {
      const pause = (host: string, origin: string): string =>
        `POST /api/v1/jobs/pause HTTP/1.1\r\nHost: ${host}\r\nOrigin: ${origin}\r\nX-GlobalFS-Client: x\r\nConnection: close\r\n\r\n`;
      expect(await proxied.talk(pause("globalfs.lab", "https://globalfs.lab")).ended).toMatch(/^HTTP\/1\.1 204 /);
      expect(await proxied.talk(pause("127.0.0.1:8090", "https://globalfs.lab")).ended).toMatch(/^HTTP\/1\.1 204 /);
      expect(await proxied.talk(pause("globalfs.lab", "https://other.lab")).ended).toMatch(/^HTTP\/1\.1 403 /);
      expect(await proxied.talk(pause("other.lab", "https://other.lab")).ended).toMatch(/^HTTP\/1\.1 403 /);
    } finally {
      await proxied.close();
    }
  });
});

describe("an object", () => {
  const head = async (type: string): Promise<Record<string, unknown>> => {
    await served.call("PUT", "/api/v1/objects/page", { body: "<script>1</script>", headers: { "content-type": type } });
    return (await served.call("GET", "/api/v1/objects/page")).headers;
  };

  it.each(["text/html", "image/svg+xml", "application/xhtml+xml", "text/xml", "application/pdf", "text/javascript"])(
    "of type %s is saved and not shown, and nothing of it runs",
    async (type) => {
      for (let again = 0; again < 2; again++) {
        expect(await head(type)).toMatchObject({
          "content-type": type,
          "x-content-type-options": "nosniff",
          "content-security-policy": expect.stringMatching(/\bsandbox$/) as string,
          "content-disposition": "attachment",
          "cross-origin-resource-policy": "same-origin",
        });
      }
    },
  );

  it.each(["image/png", "text/plain; charset=utf-8", "video/mp4", "application/json"])(
    "of type %s may be looked at",
    async (type) => {
      const headers = await head(type);
      expect(headers["content-disposition"]).toBeUndefined();
      expect(headers).toMatchObject({ "x-content-type-options": "nosniff" });
      expect(String(headers["content-security-policy"])).toContain("sandbox");
    },
  );

  it("is as little a page in parts, in ranges and in answers of JSON", async () => {
    await head("text/html");
    for (const range of ["bytes=0-3", "bytes=0-1,4-5"]) {
      const answer = await served.call("GET", "/api/v1/objects/page", { headers: { range } });
      expect(answer.headers).toMatchObject({
        "x-content-type-options": "nosniff",
        "content-disposition": "attachment",
      });
    }
    for (const path of ["/api/v1/info", "/api/v1/objects/none", "/api/v1/nothing"])
      expect((await served.call("GET", path)).headers["x-content-type-options"]).toBe("nosniff");
  });
});
