import { mkdir, open, readFile, rename } from "node:fs/promises";
import { dirname } from "node:path";
import type { CoordinatorService } from "../../coordinator/index.ts";
import { backgroundCtx } from "../../core/context.ts";
import { fromErrno } from "../../core/errors.ts";

/** The key of whoever runs everything on one machine: it may do everything, and lies in a file that only this user can read. */
export interface RootKey {
  readonly id: string;
  readonly secret: string;
}

const ID = /^export AWS_ACCESS_KEY_ID=(\w+)$/m;
const SECRET = /^export AWS_SECRET_ACCESS_KEY=([\x21-\x7e]+)$/m;

/**
 * The key that the file names, known to the catalog; made at the first start. The file is written anew each time, because it tells the endpoint, too.
 * It is made to be sourced by a shell: then the AWS tools and SDKs find everything they need.
 */
export async function ensureRootKey(
  service: CoordinatorService,
  { file, endpoint, region }: { readonly file: string; readonly endpoint: string; readonly region: string },
): Promise<RootKey> {
  const written = await readKey(file);
  const known = written === undefined ? undefined : await service.findAccessKey(written.id);
  // One that the catalog does not know was taken away, or belongs to another catalog: it does not come back.
  const key =
    written !== undefined && known?.secret === written.secret
      ? written
      : await service.createAccessKey(backgroundCtx(), { user: "root", grants: [{ path: "", role: "admin" }] });
  await writeKey(file, key, { endpoint, region });
  return { id: key.id, secret: key.secret };
}

async function readKey(file: string): Promise<RootKey | undefined> {
  try {
    const text = await readFile(file, "utf8");
    const id = ID.exec(text)?.[1];
    const secret = SECRET.exec(text)?.[1];
    return id === undefined || secret === undefined ? undefined : { id, secret };
  } catch (error) {
    if ((error as { code?: unknown }).code === "ENOENT") return undefined;
    throw fromErrno(error, "root_key.read", { path: file });
  }
}

/** Whole or not at all, and never readable by others, not even for a moment. */
async function writeKey(
  file: string,
  { id, secret }: RootKey,
  { endpoint, region }: { readonly endpoint: string; readonly region: string },
): Promise<void> {
  const text = `# The S3 endpoint of this GlobalFS and the key of its owner. Load it with: . ${file}
export AWS_ACCESS_KEY_ID=${id}
export AWS_SECRET_ACCESS_KEY=${secret}
export AWS_DEFAULT_REGION=${region}
export AWS_REGION=${region}
export AWS_ENDPOINT_URL=${endpoint}
`;
  const draft = `${file}.${process.pid}`;
  try {
    await mkdir(dirname(file), { recursive: true });
    const handle = await open(draft, "w", 0o600);
    try {
      await handle.chmod(0o600);
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(draft, file);
  } catch (error) {
    throw fromErrno(error, "root_key.write", { path: file });
  }
}
