import { generateApiKey, readOwnFile, writeOwnFile } from "../../security/index.ts";

/** The API key of whoever runs everything on one machine, in a file that only this user can read. */
export interface RestKey {
  readonly key: string;
  /** At this start. */
  readonly made: boolean;
}

const KEY = /^export GLOBALFS_API_KEY=([\x21-\x7e]{16,})$/m;

export async function findRestKey(file: string): Promise<RestKey> {
  const known = KEY.exec((await readOwnFile(file)) ?? "")?.[1];
  return known === undefined ? { key: generateApiKey(), made: true } : { key: known, made: false };
}

/** Anew at each start, because it tells the address, too. The command line and the client find it; a shell can source it. */
export async function writeRestKey(file: string, { key, url }: { key: string; url: string }): Promise<void> {
  await writeOwnFile(
    file,
    `# The REST API of this GlobalFS and the key of its owner. Load it with: . ${file}
export GLOBALFS_COORDINATOR=${url}
export GLOBALFS_API_KEY=${key}
`,
  );
}
