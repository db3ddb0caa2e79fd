export { type Client, createClient } from "./client.ts";
export type { Download } from "./download.ts";
export { GlobalFsError } from "./errors.ts";
export type { ListAllOptions, PutBody } from "./objects.ts";
export type { ClientOptions } from "./transport.ts";
export type {
  AddSite,
  CallOptions,
  Conditions,
  DeleteOptions,
  ExplainedRoute,
  Explanation,
  FailedSite,
  GetOptions,
  Health,
  ImportProgress,
  Info,
  Job,
  JobPage,
  JobState,
  ListOptions,
  ListPage,
  ObjectInfo,
  PutOptions,
  PutResult,
  SiteRole,
  SiteStatus,
  Usage,
} from "./types.ts";
