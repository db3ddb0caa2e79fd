import { Opcode } from "../protocol/opcodes.ts";
import type { CreatedFile, Entry, NegativeEntry } from "../protocol/replies.ts";
import type { Reply } from "../protocol/reply.ts";
import { ReleaseRequest } from "../protocol/requests-files.ts";
import {
  CreateRequest,
  LinkRequest,
  MkdirRequest,
  MknodRequest,
  NameRequest,
  RenameRequest,
  SymlinkRequest,
} from "../protocol/requests-names.ts";
import { EntryOut } from "../protocol/structs-out.ts";
import type { FileSystem } from "./file-system.ts";
import { encodeNothing, MISSING, operation, type AnyOperation } from "./operation.ts";

function encodeEntry(reply: Reply, entry: Entry): undefined {
  reply.entry(0, entry);
}

function forgetEntry(fileSystem: FileSystem, entry: Entry): void {
  fileSystem.forget?.(entry.inode, 1);
}

function isNegative(entry: Entry | NegativeEntry): entry is NegativeEntry {
  return entry.inode === 0;
}

function encodeCreated(reply: Reply, { entry, file }: CreatedFile): undefined {
  reply.entry(0, entry);
  reply.open(EntryOut.sizeBytes, file);
}

function undoCreated(fileSystem: FileSystem, { entry, file }: CreatedFile): void {
  const release = new ReleaseRequest();
  release.inode = entry.inode;
  release.handle = file.handle;
  // Nobody waits for a release, so nobody can be told that it failed.
  void Promise.resolve(fileSystem.release?.(release)).catch(() => undefined);
  fileSystem.forget?.(entry.inode, 1);
}

export const NAME_OPERATIONS: ReadonlyMap<number, AnyOperation> = new Map([
  [
    Opcode.LOOKUP,
    operation<NameRequest, Entry | NegativeEntry>({
      name: "lookup",
      create: () => new NameRequest(),
      call: (fileSystem, request) => fileSystem.lookup(request),
      encode: (reply, entry) => {
        if (isNegative(entry)) reply.negativeEntry(entry.entryTimeoutMs);
        else reply.entry(0, entry);
        return undefined;
      },
      undo: (fileSystem, entry) => {
        if (!isNegative(entry)) forgetEntry(fileSystem, entry);
      },
    }),
  ],
  [
    Opcode.SYMLINK,
    operation<SymlinkRequest, Entry>({
      name: "symlink",
      create: () => new SymlinkRequest(),
      call: (fileSystem, request) => fileSystem.symlink?.(request) ?? MISSING,
      encode: encodeEntry,
      undo: forgetEntry,
    }),
  ],
  [
    Opcode.MKNOD,
    operation<MknodRequest, Entry>({
      name: "mknod",
      create: () => new MknodRequest(),
      call: (fileSystem, request) => fileSystem.mknod?.(request) ?? MISSING,
      encode: encodeEntry,
      undo: forgetEntry,
    }),
  ],
  [
    Opcode.MKDIR,
    operation<MkdirRequest, Entry>({
      name: "mkdir",
      create: () => new MkdirRequest(),
      call: (fileSystem, request) => fileSystem.mkdir?.(request) ?? MISSING,
      encode: encodeEntry,
      undo: forgetEntry,
    }),
  ],
  [
    Opcode.UNLINK,
    operation<NameRequest, void>({
      name: "unlink",
      create: () => new NameRequest(),
      call: (fileSystem, request) => (fileSystem.unlink ? fileSystem.unlink(request) : MISSING),
      encode: encodeNothing,
    }),
  ],
  [
    Opcode.RMDIR,
    operation<NameRequest, void>({
      name: "rmdir",
      create: () => new NameRequest(),
      call: (fileSystem, request) => (fileSystem.rmdir ? fileSystem.rmdir(request) : MISSING),
      encode: encodeNothing,
    }),
  ],
  [Opcode.RENAME, renameOperation()],
  [Opcode.RENAME2, renameOperation()],
  [
    Opcode.LINK,
    operation<LinkRequest, Entry>({
      name: "link",
      create: () => new LinkRequest(),
      call: (fileSystem, request) => fileSystem.link?.(request) ?? MISSING,
      encode: encodeEntry,
      undo: forgetEntry,
    }),
  ],
  [
    Opcode.CREATE,
    operation<CreateRequest, CreatedFile>({
      name: "create",
      create: () => new CreateRequest(),
      call: (fileSystem, request) => fileSystem.create?.(request) ?? MISSING,
      encode: encodeCreated,
      undo: undoCreated,
    }),
  ],
  [
    Opcode.TMPFILE,
    operation<CreateRequest, CreatedFile>({
      name: "tmpfile",
      create: () => new CreateRequest(),
      call: (fileSystem, request) => fileSystem.tmpfile?.(request) ?? MISSING,
      encode: encodeCreated,
      undo: undoCreated,
    }),
  ],
]);

function renameOperation(): AnyOperation {
  return operation<RenameRequest, void>({
    name: "rename",
    create: () => new RenameRequest(),
    call: (fileSystem, request) => (fileSystem.rename ? fileSystem.rename(request) : MISSING),
    encode: encodeNothing,
  });
}
