import type { AccessGrant, AccessKey, AccessRole } from "@globalfs/client";
import { type CliContext, note, type Outcome, print, printJson, withClient } from "../context.ts";
import { UsageError } from "../failure.ts";
import { type Column, renderTable } from "../table.ts";

export interface AccessKeyOptions {
  readonly name: string;
  /** Path and role are given together. */
  readonly path?: string;
  readonly role?: AccessRole;
  readonly grant?: readonly AccessGrant[];
  /** Milliseconds. */
  readonly expires?: number;
}

export async function keyCreate(context: CliContext, options: AccessKeyOptions): Outcome {
  const { name, expires } = options;
  const grants = grantsOf(options);
  return withClient(context, async (client) => {
    const key = await client.keys.create(
      {
        user: name,
        grants,
        ...(expires === undefined ? {} : { expiresInSeconds: Math.ceil(expires / 1_000) }),
      },
      { signal: context.signal },
    );
    if (context.json) await printJson(context, key);
    else {
      note(context, `Access key of ${name} (${shownGrants(key)}). The secret is shown only now.`);
      const lines = [
        ["AWS_ACCESS_KEY_ID", key.id],
        ["AWS_SECRET_ACCESS_KEY", key.secret],
        ...(key.sessionToken === undefined ? [] : [["AWS_SESSION_TOKEN", key.sessionToken]]),
      ];
      // What a shell can take as it is: generated keys have no character that it would change.
      await print(context, lines.map(([variable, value]) => `export ${variable}=${value}\n`).join(""));
    }
    return undefined;
  });
}

function grantsOf({ path, role, grant = [] }: AccessKeyOptions): AccessGrant[] {
  if ((path === undefined) !== (role === undefined)) throw new UsageError("Give --path and --role together.");
  const first = path === undefined || role === undefined ? [] : [{ path, role }];
  const grants = [...first, ...grant].map((each) => ({ ...each, path: each.path.replace(/^\//, "") }));
  if (grants.length === 0) {
    throw new UsageError(
      "Say what the key may do: --path PATH --role ROLE, or --grant PATH:ROLE, several times if need be.",
    );
  }
  return grants;
}

function shownGrants({ grants }: AccessKey): string {
  return grants.map(({ path, role }) => `${role} of /${path}`).join(", ");
}

export async function keyList(context: CliContext): Outcome {
  return withClient(context, async (client) => {
    const keys = await client.keys.list({ signal: context.signal });
    if (context.json) await printJson(context, keys);
    else await print(context, renderTable(context.terminal, COLUMNS, keys));
    return undefined;
  });
}

const COLUMNS: readonly Column<AccessKey>[] = [
  { title: "ID", value: ({ id }) => id },
  { title: "USER", value: ({ user }) => user },
  { title: "ROLE", value: ({ grants }) => grants.map(({ role }) => role).join(", ") },
  { title: "PATH", value: shownPath },
  {
    title: "EXPIRES",
    value: ({ expiresAt }) => expiresAt?.toISOString() ?? "never",
    color: ({ expiresAt }) => (expiresAt !== undefined && expiresAt.getTime() < Date.now() ? "red" : undefined),
  },
];

function shownPath({ grants }: AccessKey): string {
  return grants.map(({ path }) => `/${path}`).join(", ");
}

export async function keyDelete(context: CliContext, id: string): Outcome {
  return withClient(context, async (client) => {
    await client.keys.delete(id, { signal: context.signal });
    if (context.json) await printJson(context, { id, deleted: true });
    else note(context, `Deleted access key ${id}.`);
    return undefined;
  });
}
