import { decodeExtensions, NO_EXTENSIONS, type Extensions } from "./extensions.ts";
import { OPEN_KILL_SUIDGID } from "./flags.ts";
import type { Frame } from "./frame.ts";
import { Opcode } from "./opcodes.ts";
import { Request } from "./request.ts";
import { CreateIn, LinkIn, MkdirIn, MknodIn, Rename2In, RenameIn } from "./structs-in.ts";

const GROUP_SET_ON_EXECUTION = 0o2000;

/** lookup, unlink, rmdir: a name in a directory. */
export class NameRequest extends Request {
  name = "";

  get parent(): number {
    return this.inode;
  }

  protected override decode(frame: Frame): void {
    this.name = frame.string(0, frame.stringEnd(0));
  }
}

/** What all requests have that make a file. */
abstract class NewFileRequest extends Request {
  name = "";
  /** File type and permissions, from which the caller's umask has been taken already, unless `umaskInServer` was asked for. */
  mode = 0;
  umask = 0;
  extensions: Extensions = NO_EXTENSIONS;

  get parent(): number {
    return this.inode;
  }

  protected decodeName(frame: Frame, offset: number): number {
    const end = frame.stringEnd(offset);
    this.name = frame.string(offset, end);
    this.extensions = frame.extensionBytes === 0 ? NO_EXTENSIONS : decodeExtensions(frame.extensions());
    return end + 1;
  }
}

export class SymlinkRequest extends NewFileRequest {
  target = "";

  protected override decode(frame: Frame): void {
    const next = this.decodeName(frame, 0);
    this.target = frame.string(next, frame.stringEnd(next));
    this.mode = 0o120777;
  }
}

export class MknodRequest extends NewFileRequest {
  /** As the kernel encodes it in 32 bits: the low eight bits and those from 20 on are the minor number, the twelve between the major. */
  device = 0;

  protected override decode(frame: Frame): void {
    frame.require(MknodIn.sizeBytes);
    this.mode = frame.u32(MknodIn.at.mode);
    this.device = frame.u32(MknodIn.at.rdev);
    this.umask = frame.u32(MknodIn.at.umask);
    this.decodeName(frame, MknodIn.sizeBytes);
  }
}

export class MkdirRequest extends NewFileRequest {
  protected override decode(frame: Frame): void {
    frame.require(MkdirIn.sizeBytes);
    this.mode = (frame.u32(MkdirIn.at.mode) & 0o7777) | 0o040000;
    this.umask = frame.u32(MkdirIn.at.umask);
    this.decodeName(frame, MkdirIn.sizeBytes);
  }
}

/** create and tmpfile, where the name means nothing. */
export class CreateRequest extends NewFileRequest {
  /** The flags of open(2), without O_CREAT, O_EXCL and O_NOCTTY. */
  flags = 0;
  /** An existing file loses set-user-id and set-group-id when this truncates it. */
  killPrivileges = false;

  protected override decode(frame: Frame): void {
    frame.require(CreateIn.sizeBytes);
    this.flags = frame.u32(CreateIn.at.flags);
    this.mode = frame.u32(CreateIn.at.mode);
    this.umask = frame.u32(CreateIn.at.umask);
    this.killPrivileges = (frame.u32(CreateIn.at.open_flags) & OPEN_KILL_SUIDGID) !== 0;
    this.decodeName(frame, CreateIn.sizeBytes);
  }
}

export class RenameRequest extends Request {
  name = "";
  newParent = 0;
  newName = "";
  /** Those of renameat2(2): `RENAME_NOREPLACE`, `RENAME_EXCHANGE`, `RENAME_WHITEOUT`. */
  flags = 0;

  get parent(): number {
    return this.inode;
  }

  protected override decode(frame: Frame): void {
    const extended = frame.opcode === Opcode.RENAME2;
    const start = extended ? Rename2In.sizeBytes : RenameIn.sizeBytes;
    frame.require(start);
    this.newParent = frame.id(RenameIn.at.newdir);
    this.flags = extended ? frame.u32(Rename2In.at.flags) : 0;
    const nameEnd = frame.stringEnd(start);
    this.name = frame.string(start, nameEnd);
    this.newName = frame.string(nameEnd + 1, frame.stringEnd(nameEnd + 1));
  }
}

/** Gives the file `inode` one more name. */
export class LinkRequest extends Request {
  newParent = 0;
  newName = "";

  protected override decode(frame: Frame): void {
    frame.require(LinkIn.sizeBytes);
    this.newParent = frame.inode;
    this.inode = frame.id(LinkIn.at.oldnodeid);
    this.newName = frame.string(LinkIn.sizeBytes, frame.stringEnd(LinkIn.sizeBytes));
  }
}

/** True for a directory whose files get its group instead of their maker's. */
export function inheritsGroup(directoryMode: number): boolean {
  return (directoryMode & GROUP_SET_ON_EXECUTION) !== 0;
}
