import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import tls from "node:tls";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { rigCtx, type Rig, startRig } from "../../coordinator/testing/rig.ts";
import { systemClock } from "../../core/ports/clock.ts";
import { silentLogger } from "../../core/ports/log.ts";
import { noMetrics } from "../../core/ports/metrics.ts";
import { seededRandom } from "../../core/ports/random.ts";
import { findProgram, missingServer } from "../../../tests/servers/shared-server.ts";
import { loadConfig } from "../config/index.ts";
import { ensureRootKey } from "./root-key.ts";
import { openS3Endpoint, s3Settings, type S3Endpoint } from "./s3-endpoint.ts";

const run = promisify(execFile);
const hasOpenssl = (await findProgram("openssl")) !== undefined;
if (!hasOpenssl) missingServer("certificates are made by openssl, which is not installed");

let directory: string;
let rig: Rig;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "globalfs-endpoint-"));
  rig = await startRig();
});
afterAll(async () => {
  await rig.stop();
  await rm(directory, { recursive: true, force: true });
});

async function open(s3: object): Promise<S3Endpoint> {
  const content = JSON.stringify({
    sites: [{ name: "onprem", role: "primary", store: { driver: "memory" } }],
    s3: { listen_addr: "127.0.0.1:0", ...s3 },
  });
  const { config } = await loadConfig({ content, env: {} });
  const deps = {
    service: rig.coordinator,
    clock: systemClock,
    log: silentLogger,
    metrics: noMetrics,
    random: seededRandom(1),
  };
  return await openS3Endpoint(config, config.s3 as NonNullable<typeof config.s3>, deps);
}

test("Who does not sign calls an endpoint on loopback by names of this machine or of the configuration, and one on a network by any", async () => {
  const settingsOf = async (s3: object) => {
    const sites = [{ name: "onprem", role: "primary", store: { driver: "memory" } }];
    const content = JSON.stringify({ sites, s3, coordinator: { host_names: ["files.example.org"] } });
    const { config } = await loadConfig({ content, env: {} });
    return s3Settings(config, config.s3 as NonNullable<typeof config.s3>).ownNames;
  };
  expect(await settingsOf({})).toEqual({ listensOn: "127.0.0.1", names: ["files.example.org"] });
  expect(await settingsOf({ listen_addr: "10.0.0.1:8091" })).toBeUndefined();
});

async function certify(name: string): Promise<{ readonly cert_file: string; readonly key_file: string }> {
  const files = { cert_file: join(directory, "cert.pem"), key_file: join(directory, "key.pem") };
  await run("openssl", [
    ..."req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2".split(" "),
    "-subj",
    `/CN=${name}`,
    "-keyout",
    files.key_file,
    "-out",
    files.cert_file,
  ]);
  return files;
}

async function shownName(port: number): Promise<string | undefined> {
  return await new Promise((resolve, reject) => {
    const socket = tls.connect({ port, host: "127.0.0.1", rejectUnauthorized: false }, () => {
      resolve(socket.getPeerCertificate().subject.CN as string);
      socket.destroy();
    });
    socket.once("error", reject);
  });
}

describe("the S3 endpoint", () => {
  test.skipIf(!hasOpenssl)("speaks TLS, and shows a new certificate once it is told to", async () => {
    const files = await certify("first");
    const endpoint = await open({ tls: files });
    try {
      expect(endpoint.secure).toBe(true);
      expect(await shownName(endpoint.port)).toBe("first");
      await certify("second");
      expect(await shownName(endpoint.port)).toBe("first");
      await endpoint.renew();
      expect(await shownName(endpoint.port)).toBe("second");
      await writeFile(files.cert_file, "broken");
      await endpoint.renew();
      expect(await shownName(endpoint.port)).toBe("second");
    } finally {
      await endpoint.close({ drainMs: 0 });
    }
  });

  test("does not start without the certificate that it is to show, nor on a port that is taken", async () => {
    const missing = { cert_file: join(directory, "none.pem"), key_file: join(directory, "none.pem") };
    await expect(open({ tls: missing })).rejects.toThrow(/s3\.tls\.cert_file names .*none\.pem/);
    const endpoint = await open({});
    try {
      await expect(open({ listen_addr: `127.0.0.1:${endpoint.port}` })).rejects.toThrow(/set s3\.listen_addr/);
    } finally {
      await endpoint.close({ drainMs: 0 });
    }
  });

  test("listens on this machine alone when nothing else is said", async () => {
    const endpoint = await open({ listen_addr: ":0" });
    expect(endpoint.host).toBe("127.0.0.1");
    await endpoint.close({ drainMs: 0 });
  });
});

describe("the owner's key", () => {
  const place = (endpoint = "http://localhost:8091") => ({
    file: join(directory, "s3.env"),
    endpoint,
    region: "us-east-1",
  });

  test("is made once, and kept where nobody else can read it", async () => {
    const first = await ensureRootKey(rig.coordinator, place());
    expect(first.made).toBe(true);
    expect(await ensureRootKey(rig.coordinator, place("http://localhost:9999"))).toEqual({ ...first, made: false });
    const { file } = place();
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    const { stdout } = await run("sh", ["-c", `. "${file}"; echo "$AWS_ACCESS_KEY_ID $AWS_ENDPOINT_URL"`]);
    expect(stdout).toBe(`${first.id} http://localhost:9999\n`);
    expect(await rig.coordinator.findAccessKey(first.id)).toMatchObject({ user: "root", secret: first.secret });
  });

  test("is made anew when it was taken away", async () => {
    const before = await ensureRootKey(rig.coordinator, place());
    await rig.coordinator.deleteAccessKey(rigCtx, before.id);
    const after = await ensureRootKey(rig.coordinator, place());
    expect(after.id).not.toBe(before.id);
    expect(await rig.coordinator.findAccessKey(before.id)).toBeUndefined();
    expect(await readFile(place().file, "utf8")).toContain(after.secret);
  });
});
