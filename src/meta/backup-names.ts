/** Where backups lie at a site: in GlobalFS's own corner, which no listing shows and no sweep touches, those of each cluster for themselves. */

const BACKUPS = ".globalfs/backups/";
const END = ".jsonl.gz";

export function backupPrefix(cluster: string): string {
  return `${BACKUPS}${encodeURIComponent(cluster).replaceAll("%", "_").slice(0, 120)}/`;
}

/** In the order of their names, which is that of their times. */
export function backupKey(cluster: string, { atMs, revision }: BackupName): string {
  const stamp = new Date(atMs)
    .toISOString()
    .replaceAll(/[-:]/g, "")
    .replace(/\.(\d+)Z$/, "$1Z");
  return `${backupPrefix(cluster)}${stamp}-${revision}${END}`;
}

export interface BackupName {
  readonly atMs: number;
  readonly revision: number;
}

const NAME = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)(\d{3})Z-(\d+)\.jsonl\.gz$/;

/** Undefined for what is no backup. */
export function readBackupName(cluster: string, key: string): BackupName | undefined {
  const prefix = backupPrefix(cluster);
  const parts = key.startsWith(prefix) ? NAME.exec(key.slice(prefix.length)) : null;
  if (parts === null) return undefined;
  const [, year, month, day, hour, minute, second, milli, revision] = parts.map(Number);
  const atMs = Date.UTC(year as number, (month as number) - 1, day, hour, minute, second, milli);
  return { atMs, revision: revision as number };
}
