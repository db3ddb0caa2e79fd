import { encodeKey, type Program, type Reader, type Transaction } from "../kv/index.ts";
import type { BackupOutcome } from "./backup.ts";

/** How the scheduled backups went, in a row of the catalog, so that whoever leads goes on and everybody can tell. */
export interface BackupState {
  /** The newest one that a site took. */
  readonly last?: BackupOutcome;
  /** Of the last attempt, where it did not go well at every site. */
  readonly failure?: { readonly atMs: number; readonly error: string };
}

const ROW = encodeKey("coordinator-backup");

export function* readBackupState(tx: Reader): Program<BackupState> {
  const row = yield* tx.get(ROW);
  return row === undefined ? {} : (JSON.parse(Buffer.from(row).toString()) as BackupState);
}

export function writeBackupState(tx: Transaction, state: BackupState): void {
  tx.put(ROW, Buffer.from(JSON.stringify(state)));
}
