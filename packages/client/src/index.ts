export { type Client, createClient } from "./client.ts";
export { type Connection, type FindConnection, findConnection } from "./connection.ts";
export type { Download } from "./download.ts";
export { GlobalFsError } from "./errors.ts";
export type { ListAllOptions, PutBody } from "./objects.ts";
export type { ClientOptions } from "./transport.ts";
export type {
  AccessGrant,
  AccessKey,
  AccessRole,
  AddSite,
  AuditLine,
  AuditPage,
  AuditQuery,
  CallOptions,
  Conditions,
  CreateAccessKey,
  DeleteOptions,
  DeleteResult,
  ExplainedRoute,
  Explanation,
  FailedSite,
  GetOptions,
  Health,
  ImportProgress,
  Info,
  Job,
  JobPage,
  JobQuery,
  JobState,
  ListOptions,
  ListPage,
  NewAccessKey,
  Permissions,
  ObjectInfo,
  Pause,
  PutOptions,
  PutResult,
  SiteRole,
  SiteStatus,
  Usage,
} from "./types.ts";
