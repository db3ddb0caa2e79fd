/** The catalog as a whole: checked, written out, read back, kept at the sites and made again from them. */
export { type CheckDeps, checkMeta, type CheckOptions, type CheckReport, type Finding } from "./check.ts";
export { dumpCatalog, type DumpOptions, type DumpSummary } from "./dump.ts";
export { loadCatalog, type LoadOptions, type LoadSummary } from "./load.ts";
export { uncompressed } from "./compression.ts";
export { type BackupName, backupPrefix } from "./backup-names.ts";
export {
  type BackupDeps,
  type BackupOrder,
  type BackupOutcome,
  backupsAt,
  backUp,
  readBackup,
  type StoredBackup,
} from "./backup.ts";
export { type BackupState, readBackupState, writeBackupState } from "./backup-state.ts";
export {
  findBackup,
  type FoundBackup,
  rebuild,
  type RebuildDeps,
  type RebuildOptions,
  type RebuildReport,
} from "./rebuild/rebuild.ts";
