import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { S3Client } from "@aws-sdk/client-s3";
import { findProgram, freePort, missingServer } from "../../servers/shared-server.ts";
import { type Ran, runGlobalfs, type RunOptions, runProgram } from "./command.ts";
import { fileSite, writeConfiguration } from "./configuration.ts";
import { type ReadyDaemon, startDaemon } from "./daemon.ts";

type Settings = Readonly<Record<string, unknown>>;

/** The built daemon with its S3 endpoint, and what clients need to reach it. */
export interface S3Endpoint {
  readonly daemon: ReadyDaemon;
  /** Its own, for the client's files too. */
  readonly directory: string;
  readonly url: string;
  readonly port: number;
  readonly region: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** For clients that take their settings from the environment. */
  readonly env: Readonly<Record<string, string>>;
  sdk(): S3Client;
  /** A client's program, with those settings and in that directory. */
  run(program: string, words: readonly string[], options?: RunOptions): Promise<Ran>;
  /** The same, which has to succeed. */
  out(program: string, words: readonly string[], options?: RunOptions): Promise<string>;
  stop(): Promise<void>;
}

/** Of a user `tester` who may make buckets. `settings` is added to the section `s3`, `sections` to the whole configuration; all lies in `place`, which the caller removes, or else in a directory of its own. */
export async function startS3Endpoint(
  name: string,
  settings: Settings = {},
  sections: Readonly<Record<string, Settings>> = {},
  sites: readonly Settings[] = [fileSite("onprem", "primary"), fileSite("cloud", "burst")],
  place?: string,
): Promise<S3Endpoint> {
  const directory = place ?? (await mkdtemp(join(tmpdir(), `globalfs-s3-${name}-`)));
  const port = await freePort();
  const config = await writeConfiguration(directory, sites, {
    ...sections,
    s3: { listen_addr: `127.0.0.1:${port}`, ...settings },
  });
  const daemon = await startDaemon({ directory, words: ["coordinator", "start", "--config", config] });
  const { accessKeyId, secretAccessKey } = await createKey(daemon.url, "tester");
  const url = `http://127.0.0.1:${port}`;
  const region = "us-east-1";
  const env = {
    AWS_ACCESS_KEY_ID: accessKeyId,
    AWS_SECRET_ACCESS_KEY: secretAccessKey,
    AWS_DEFAULT_REGION: region,
    AWS_REGION: region,
    AWS_EC2_METADATA_DISABLED: "true",
    AWS_CONFIG_FILE: join(directory, "no-config"),
    AWS_SHARED_CREDENTIALS_FILE: join(directory, "no-credentials"),
    AWS_PAGER: "",
    HOME: directory,
    LC_ALL: "C.UTF-8",
    // The distribution's programs before all others of these names.
    PATH: `/usr/bin:/bin:${process.env["PATH"] ?? ""}`,
  };
  const run = async (program: string, words: readonly string[], options: RunOptions = {}): Promise<Ran> =>
    await runProgram(program, words, { directory, ...options, env: { ...env, ...options.env } });
  return {
    daemon,
    directory,
    url,
    port,
    region,
    accessKeyId,
    secretAccessKey,
    env,
    run,
    async out(program, words, options) {
      const { exit, out, err } = await run(program, words, options);
      if (exit !== 0) throw new Error(`${program} ${words.join(" ")} ended with ${exit}:\n${err}\n${out}`);
      return out;
    },
    sdk: () =>
      new S3Client({ endpoint: url, region, forcePathStyle: true, credentials: { accessKeyId, secretAccessKey } }),
    async stop() {
      await daemon.stop();
      if (place === undefined) await rm(directory, { recursive: true, force: true });
    },
  };
}

export async function createKey(
  url: string,
  user: string,
  role = "user",
): Promise<{ readonly accessKeyId: string; readonly secretAccessKey: string }> {
  const words = ["key", "create", "--name", user, "--path", "/", "--role", role, "--json"];
  const { exit, out, err } = await runGlobalfs(words, { env: { GLOBALFS_COORDINATOR: url } });
  if (exit !== 0) throw new Error(`There is no key: ${err}`);
  const { id, secret } = JSON.parse(out) as { readonly id: string; readonly secret: string };
  return { accessKeyId: id, secretAccessKey: secret };
}

/** Whether to skip a client's tests; where servers and clients are promised, its absence is a failure. */
export async function isMissing(program: string, aptPackage = program): Promise<boolean> {
  if ((await findProgram(program)) !== undefined) return false;
  missingServer(`there is no ${program} (apt-get install ${aptPackage})`);
  return true;
}
