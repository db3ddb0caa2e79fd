import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import tls from "node:tls";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { freePort } from "../servers/shared-server.ts";
import { runGlobalfs } from "./support/command.ts";
import { fileSite, writeConfiguration } from "./support/configuration.ts";
import { type ReadyDaemon, startDaemon } from "./support/daemon.ts";
import { isMissing } from "./support/s3-endpoint.ts";
import { until } from "./support/until.ts";

/** Beyond this machine nothing goes in clear text, unless somebody said that it may. */

const run = promisify(execFile);
const API_KEY = "the-key-of-this-test";
let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "globalfs-tls-"));
});
afterAll(async () => {
  await rm(directory, { recursive: true, force: true });
});

/** A certificate of `issuer`, or one of its own. */
async function certify(
  file: string,
  name: string,
  issuer?: string,
  alternatives = "DNS:localhost,IP:127.0.0.1",
): Promise<void> {
  const place = (ending: string): string => join(directory, `${file}.${ending}`);
  const words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2".split(" ");
  const from =
    issuer === undefined ? [] : ["-CA", join(directory, `${issuer}.pem`), "-CAkey", join(directory, `${issuer}.key`)];
  const names = ["-addext", `subjectAltName=${alternatives}`];
  const into = ["-keyout", place("key"), "-out", place("pem")];
  await run("openssl", [...words, "-subj", `/CN=${name}`, ...names, ...from, ...into]);
}

async function shownName(port: number): Promise<string> {
  return await new Promise((resolve, reject) => {
    const socket = tls.connect({ port, host: "127.0.0.1", rejectUnauthorized: false }, () => {
      resolve(String(socket.getPeerCertificate().subject.CN));
      socket.destroy();
    });
    socket.once("error", reject);
  });
}

describe("a coordinator that would be reached from elsewhere in clear text", () => {
  const sites = [fileSite("onprem", "primary")];
  const start = async (sections: Record<string, object>) => {
    const config = await writeConfiguration(directory, sites, { security: { open: false }, ...sections });
    return await runGlobalfs(["coordinator", "start", "--config", config], { env: { GLOBALFS_API_KEY: API_KEY } });
  };

  test.each([
    ["the API", { coordinator: { listen_addr: "0.0.0.0:0", data_dir: "catalog" } }, "coordinator.tls"],
    ["the S3 endpoint", { s3: { listen_addr: "0.0.0.0:0" } }, "s3.tls"],
  ])("does not start: %s", async (_what, sections, setting) => {
    const { exit, err } = await start(sections);
    expect(exit).toBe(2);
    expect(err).toContain(setting);
    expect(err).toContain("security.behind_proxy");
  });

  test("starts where a proxy in front does TLS", async () => {
    const config = await writeConfiguration(directory, sites, {
      security: { open: false, behind_proxy: true },
      coordinator: { listen_addr: "0.0.0.0:0", data_dir: "catalog" },
      s3: { listen_addr: "0.0.0.0:0" },
    });
    const words = ["coordinator", "start", "--config", config];
    const daemon = await startDaemon({ directory, words, env: { GLOBALFS_API_KEY: API_KEY } });
    expect(await daemon.stop()).toEqual({ code: 0, signal: null });
  });

  test("keeps to this machine where no address is named", async () => {
    const config = await writeConfiguration(directory, sites, {
      security: { open: false },
      coordinator: { listen_addr: `:${await freePort()}`, data_dir: "catalog" },
    });
    const words = ["coordinator", "start", "--config", config];
    const daemon = await startDaemon({ directory, words, env: { GLOBALFS_API_KEY: API_KEY } });
    expect(await daemon.stop()).toEqual({ code: 0, signal: null });
  });
});

describe.skipIf(await isMissing("openssl"))("a coordinator with a certificate", () => {
  let daemon: ReadyDaemon;
  let metricsPort: number;
  let port: number;

  beforeAll(async () => {
    await certify("server", "first");
    await certify("authority", "those who issue");
    await certify("ann", "ann@example.org", "authority");
    await certify("app", "ann@example.org", "authority", "DNS:localhost,URI:spiffe://example.org/app");
    await certify("stranger", "ann@example.org");
    metricsPort = await freePort();
    const config = await writeConfiguration(directory, [fileSite("onprem", "primary")], {
      global: { metrics_port: metricsPort },
      coordinator: {
        listen_addr: "127.0.0.1:0",
        data_dir: "catalog",
        tls: { cert_file: "server.pem", key_file: "server.key", client_ca_file: "authority.pem" },
      },
      security: {
        open: false,
        api_keys: [
          { name: "ann", certificate: "ann@example.org", grants: [{ path: "team", role: "writer" }] },
          { name: "app", certificate: "spiffe://example.org/app", grants: [{ path: "team", role: "reader" }] },
        ],
      },
    });
    const words = ["coordinator", "start", "--config", config];
    daemon = await startDaemon({ directory, words, env: { GLOBALFS_API_KEY: API_KEY } });
    port = Number(new URL(daemon.url).port);
  });
  afterAll(async () => {
    await daemon?.stop();
  });

  async function ask(method: string, path: string, client?: string): Promise<number | undefined> {
    const certificate =
      client === undefined
        ? {}
        : {
            cert: await readFile(join(directory, `${client}.pem`)),
            key: await readFile(join(directory, `${client}.key`)),
          };
    return await new Promise((resolve, reject) => {
      const asked = request(
        { port, host: "127.0.0.1", method, path, rejectUnauthorized: false, agent: false, ...certificate },
        (answer) => {
          answer.resume();
          answer.on("end", () => resolve(answer.statusCode));
        },
      );
      asked.once("error", reject);
      asked.end();
    });
  }

  test("is reached by the command line over TLS, and not in clear text", async () => {
    expect(daemon.url).toMatch(/^https:/);
    const env = {
      GLOBALFS_COORDINATOR: daemon.url,
      GLOBALFS_API_KEY: API_KEY,
      NODE_EXTRA_CA_CERTS: join(directory, "server.pem"),
    };
    expect((await runGlobalfs(["object", "put", "team/k"], { env, input: "x" })).exit).toBe(0);
    expect((await runGlobalfs(["cat", "team/k"], { env })).out).toBe("x");
    const clear = { ...env, GLOBALFS_COORDINATOR: daemon.url.replace("https", "http") };
    expect((await runGlobalfs(["cat", "team/k"], { env: clear })).exit).not.toBe(0);
    const untrusting = { GLOBALFS_COORDINATOR: daemon.url, GLOBALFS_API_KEY: API_KEY };
    expect((await runGlobalfs(["cat", "team/k"], { env: untrusting })).exit).not.toBe(0);
    expect(await shownName(metricsPort)).toBe("first");
  });

  test("takes a client's certificate for the user that it names, if it was issued by whom it trusts", async () => {
    const object = "/api/v1/objects/team/k";
    expect(await ask("GET", object)).toBe(401);
    expect(await ask("GET", object, "ann")).toBe(200);
    expect(await ask("DELETE", "/api/v1/objects/other/k", "ann")).toBe(403);
    expect(await ask("GET", object, "stranger")).toBe(401);
    // Its address decides, before the common name, which is another's.
    expect(await ask("GET", object, "app")).toBe(200);
    expect(await ask("DELETE", object, "app")).toBe(403);
    const env = {
      GLOBALFS_COORDINATOR: daemon.url,
      GLOBALFS_API_KEY: API_KEY,
      NODE_EXTRA_CA_CERTS: join(directory, "server.pem"),
    };
    const { out } = await runGlobalfs(["audit", "tail", "--user", "ann", "--json"], { env });
    expect(JSON.parse(out)).toEqual(
      expect.arrayContaining([expect.objectContaining({ kind: "refusal", user: "ann", status: 403 })]),
    );
  });

  test("shows a new certificate after SIGHUP, and keeps the old one when the new cannot be used", async () => {
    await certify("server", "second");
    process.kill(daemon.pid, "SIGHUP");
    await until("the new one is shown", async () => (await shownName(port)) === "second");
    expect(await shownName(metricsPort)).toBe("second");
    await writeFile(join(directory, "server.pem"), "broken");
    process.kill(daemon.pid, "SIGHUP");
    await until("it was tried", async () => daemon.events("certificate_not_renewed").length > 0);
    expect(await shownName(port)).toBe("second");
  });
});

test("a key is not sent to another machine in clear text, unless that was said", async () => {
  const env = { GLOBALFS_COORDINATOR: "http://files.example.org:8090", GLOBALFS_API_KEY: API_KEY };
  const { exit, err } = await runGlobalfs(["cat", "k"], { env });
  expect(exit).toBe(2);
  expect(err).toMatch(/clear text.*https:\/\/files\.example\.org/);
  // An address of this machine that is not known for one: nobody listens there.
  const said = await runGlobalfs(["cat", "k"], {
    env: { ...env, GLOBALFS_COORDINATOR: "http://0.0.0.0:9", GLOBALFS_CLEAR_TEXT: "allow" },
  });
  expect(said.exit).toBe(3);
});
