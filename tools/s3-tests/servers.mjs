import { execFileSync, spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { existsSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { ROOT } from "../lib/run.mjs";

/** Seconds that count as a day in lifecycle rules, at both servers. */
const LIFECYCLE_DAY_SECONDS = 4;
const START_TIMEOUT_MS = 60_000;

/** A coordinator with one file site, and a key of its own for each user that the suite knows. */
export async function startGlobalfs({ directory, logDirectory }) {
  const [port, restPort] = [await freePort(), await freePort()];
  const file = join(directory, "config.json");
  // Where S3 itself began: a bucket that one has already may be created again there.
  const region = "us-east-1";
  const configuration = {
    global: { metrics_enabled: false, log_level: "INFO", log_format: "json" },
    coordinator: { listen_addr: `127.0.0.1:${restPort}`, data_dir: join(directory, "catalog") },
    sites: [
      { name: "disk", role: "primary", foreign: "ignore", store: { driver: "file", path: join(directory, "site") } },
    ],
    s3: {
      listen_addr: `127.0.0.1:${port}`,
      region,
      allow_anonymous: true,
      signature_v2: true,
      domains: ["localhost"],
      lifecycle_day: `${LIFECYCLE_DAY_SECONDS}s`,
    },
  };
  writeFileSync(file, JSON.stringify(configuration));
  const child = startProcess(
    process.execPath,
    [join(ROOT, "bin", "globalfs-coordinator.js"), "--config", file],
    join(logDirectory, "globalfs.log"),
  );
  await untilListening(port, child);
  await untilListening(restPort, child);
  const env = { ...process.env, GLOBALFS_COORDINATOR: `http://127.0.0.1:${restPort}` };
  const user = (name, role = "user") => {
    const words = ["key", "create", "--name", name, "--path", "/", "--role", role, "--json"];
    const key = JSON.parse(
      execFileSync(process.execPath, [join(ROOT, "bin", "globalfs.js"), ...words], { env, encoding: "utf8" }),
    );
    return {
      display_name: name,
      user_id: createHash("sha256").update(`globalfs-user:${name}`).digest("hex"),
      email: `${name}@example.com`,
      access_key: key.id ?? key.access_key_id,
      secret_key: key.secret ?? key.secret_access_key,
    };
  };
  return {
    description: "GlobalFS, one site on disk",
    host: "localhost",
    port,
    lifecycleDaySeconds: LIFECYCLE_DAY_SECONDS,
    createUsers: (suffix) => ({
      main: user(`main${suffix}`),
      alt: user(`alt${suffix}`),
      tenant: user(`tenant${suffix}`),
      iam: user(`iam${suffix}`),
      root: user(`root${suffix}`),
      altRoot: user(`alt-root${suffix}`),
    }),
    stop: async () => await stopProcess(child),
  };
}

/** Debian's radosgw: one monitor, one object daemon that keeps its data in memory, one gateway. */
export async function startRadosgw({ directory, logDirectory }) {
  const [port, monitorPort] = [await freePort(), await freePort()];
  const home = join(directory, "ceph");
  const [access, secret] = [randomBytes(10).toString("hex"), randomBytes(20).toString("hex")];
  const child = startProcess(
    join(ROOT, "tests", "servers", "radosgw.sh"),
    [home, String(port), String(monitorPort), access, secret],
    join(logDirectory, "radosgw.log"),
    { RADOSGW_SETTINGS: `rgw lc debug interval = ${LIFECYCLE_DAY_SECONDS}`, RADOSGW_RESTART: "1" },
  );
  const endMs = performance.now() + START_TIMEOUT_MS;
  while (!existsSync(join(home, "ready"))) {
    if (child.exitCode !== null || performance.now() > endMs) throw new Error("radosgw did not start; see its log.");
    await sleep(200);
  }
  const env = { ...process.env, CEPH_CONF: join(home, "ceph.conf") };
  const admin = (...words) =>
    execFileSync("radosgw-admin", ["-n", "client.rgw", ...words], { env, stdio: ["ignore", "pipe", "ignore"] });
  const user = (name, { tenant = "", caps } = {}) => {
    const made = {
      display_name: name,
      user_id: `${tenant === "" ? "" : `${tenant}$`}${createHash("sha256").update(name).digest("hex")}`,
      email: `${name}@example.com`,
      access_key: randomBytes(10).toString("hex"),
      secret_key: randomBytes(20).toString("hex"),
    };
    const words = ["user", "create", `--uid=${made.user_id}`, `--display-name=${name}`, `--email=${made.email}`];
    admin(...words, `--access-key=${made.access_key}`, `--secret-key=${made.secret_key}`);
    if (caps !== undefined) admin("caps", "add", `--uid=${made.user_id}`, `--caps=${caps}`);
    return made;
  };
  return {
    description: execFileSync("radosgw", ["--version"], { encoding: "utf8" }).replace(/ \(.*/s, ", radosgw"),
    host: "localhost",
    port,
    region: "default",
    lifecycleDaySeconds: LIFECYCLE_DAY_SECONDS,
    createUsers: (suffix) => ({
      main: user(`main${suffix}`),
      alt: user(`alt${suffix}`, { caps: "roles=*" }),
      tenant: user(`tenant${suffix}`, { tenant: "testx" }),
      iam: user(`iam${suffix}`, { caps: "user-policy=*;roles=*;oidc-provider=*" }),
      root: user(`root${suffix}`),
      altRoot: user(`alt-root${suffix}`),
    }),
    stop: async () => await stopProcess(child),
  };
}

function startProcess(program, words, log, env = {}) {
  const out = openSync(log, "w");
  // A group of its own, so that everything that it starts ends with it.
  const child = spawn(program, words, { detached: true, stdio: ["ignore", out, out], env: { ...process.env, ...env } });
  child.once("exit", (code) => {
    if (code !== 0 && code !== null) process.stderr.write(`${program} ended with ${code}:\n${tail(log)}\n`);
  });
  return child;
}

async function stopProcess(child) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const closed = once(child, "exit");
  process.kill(-child.pid, "SIGTERM");
  const late = setTimeout(() => process.kill(-child.pid, "SIGKILL"), 10_000);
  await closed;
  clearTimeout(late);
}

async function untilListening(port, child) {
  const endMs = performance.now() + START_TIMEOUT_MS;
  while (performance.now() < endMs && child.exitCode === null) {
    const open = await new Promise((resolve) => {
      const socket = connect({ port, host: "127.0.0.1" });
      socket.once("connect", () => resolve(true));
      socket.once("error", () => resolve(false));
      socket.once("connect", () => socket.destroy());
    });
    if (open) return;
    await sleep(50);
  }
  throw new Error(`Nothing listens on port ${port}; the server's log says why.`);
}

async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  return port;
}

function tail(path) {
  return readFileSync(path, "utf8").slice(-2_000);
}
