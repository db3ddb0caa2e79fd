import type { CoordinatorService } from "../../coordinator/index.ts";
import { backgroundCtx } from "../../core/context.ts";
import { readOwnFile, writeOwnFile } from "../../security/index.ts";

/** The key of whoever runs everything on one machine: it may do everything, and lies in a file that only this user can read. */
export interface RootKey {
  readonly id: string;
  readonly secret: string;
  /** At this start. */
  readonly made: boolean;
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
  const kept = written !== undefined && known?.secret === written.secret;
  const key = kept
    ? written
    : await service.createAccessKey(backgroundCtx(), { user: "root", grants: [{ path: "", role: "admin" }] });
  await writeKey(file, key, { endpoint, region });
  return { id: key.id, secret: key.secret, made: !kept };
}

async function readKey(file: string): Promise<Omit<RootKey, "made"> | undefined> {
  const text = (await readOwnFile(file)) ?? "";
  const id = ID.exec(text)?.[1];
  const secret = SECRET.exec(text)?.[1];
  return id === undefined || secret === undefined ? undefined : { id, secret };
}

async function writeKey(
  file: string,
  { id, secret }: Omit<RootKey, "made">,
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
