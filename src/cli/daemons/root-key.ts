import type { CoordinatorService, CreateAccessKey } from "../../coordinator/index.ts";
import { backgroundCtx } from "../../core/context.ts";
import { toGfsError } from "../../core/errors.ts";
import { readOwnFile, writeOwnFile } from "../../security/index.ts";

/** The key of whoever runs everything on one machine: it may do everything, and lies in a file that only this user can read. */
export interface RootKey {
  readonly id: string;
  readonly secret: string;
  /** At this start. */
  readonly made: boolean;
}

type KeyPair = Omit<RootKey, "made">;

const ROOT: CreateAccessKey = { user: "root", grants: [{ path: "", role: "admin" }] };
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
  const known = written === undefined ? undefined : await findKey(service, written.id);
  // One that the catalog does not know was taken away, or belongs to another catalog: it does not come back.
  const kept = written !== undefined && (known === "sealed" || known?.secret === written.secret);
  if (known === "sealed") await service.deleteAccessKey(backgroundCtx(), (written as KeyPair).id);
  const key =
    kept && known !== "sealed"
      ? written
      : await service.createAccessKey(backgroundCtx(), { ...ROOT, ...(kept ? written : {}) });
  await writeKey(file, key, { endpoint, region });
  return { id: key.id, secret: key.secret, made: !kept };
}

/** A catalog that was rebuilt has another secret.key than the one that its keys were sealed under; this key's secret lies in its file, too. */
async function findKey(service: CoordinatorService, id: string): Promise<KeyPair | "sealed" | undefined> {
  try {
    return await service.findAccessKey(id);
  } catch (error) {
    if (toGfsError(error).code === "DataCorrupt") return "sealed";
    throw error;
  }
}

async function readKey(file: string): Promise<KeyPair | undefined> {
  const text = (await readOwnFile(file)) ?? "";
  const id = ID.exec(text)?.[1];
  const secret = SECRET.exec(text)?.[1];
  return id === undefined || secret === undefined ? undefined : { id, secret };
}

async function writeKey(
  file: string,
  { id, secret }: KeyPair,
  { endpoint, region }: { readonly endpoint: string; readonly region: string },
): Promise<void> {
  await writeOwnFile(
    file,
    `# The S3 endpoint of this GlobalFS and the key of its owner. Load it with: . ${file}
export AWS_ACCESS_KEY_ID=${id}
export AWS_SECRET_ACCESS_KEY=${secret}
export AWS_DEFAULT_REGION=${region}
export AWS_REGION=${region}
export AWS_ENDPOINT_URL=${endpoint}
`,
  );
}
