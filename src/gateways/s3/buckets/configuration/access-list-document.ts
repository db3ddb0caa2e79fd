import {
  type AccessList,
  canonicalUserId,
  type Grant,
  isOwnerOnly,
  MAX_GRANTS,
  ownershipOf,
  PERMISSIONS,
  readAccessList,
  writeAccessList,
} from "../../../../security/index.ts";
import { childrenNamed, escapeXml, type XmlElement } from "../../../../core/xml.ts";
import { GfsError } from "../../../../core/errors.ts";
import { checkAccessList, refuseWhereDisabled } from "../../access/access-list-check.ts";
import {
  granteeOf,
  GROUP_URIS,
  hasAccessListHeaders,
  readAccessListHeaders,
} from "../../access/access-list-headers.ts";
import { knownUsers } from "../../access/users.ts";
import { S3_NAMESPACE } from "../../wire/answer.ts";
import {
  allowOnly,
  malformedXml,
  oneOf,
  onlyChild,
  readConfiguration,
  requiredText,
  textOf,
} from "../../wire/documents.ts";
import { s3Error } from "../../wire/errors.ts";
import { NOBODY, ownerFields } from "../../wire/owners.ts";
import type { S3Deps, S3Request } from "../../wire/request.ts";
import { bucketOf } from "./bucket-change.ts";

/** Access lists as documents: what `?acl` shows and takes. */

const XSI = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"';

/** `owner` is the name of who owns what the list is of; undefined: nobody. */
export async function writeAccessListDocument(
  request: S3Request,
  deps: S3Deps,
  { text, owner = NOBODY }: { readonly text: string | undefined; readonly owner: string | undefined },
): Promise<string> {
  // Where lists are switched off, what was kept of them counts for nothing.
  const list = readAccessList(ownershipOf(bucketOf(request)) === "BucketOwnerEnforced" ? undefined : text);
  const names = list.some(({ grantee }) => grantee.length === 64) ? await knownUsers(request.ctx, deps) : new Map();
  const group = ({ grantee }: Grant): boolean => grantee === "all" || grantee === "signed" || grantee === "log";
  const grants = [...list.filter(group), ...list.filter((grant) => !group(grant))].map(
    (grant) => `<Grant>${describeGrantee(grant, owner, names)}<Permission>${grant.permission}</Permission></Grant>`,
  );
  return `<AccessControlPolicy ${S3_NAMESPACE}><Owner>${ownerFields(owner)}</Owner><AccessControlList>${grants.join("")}</AccessControlList></AccessControlPolicy>`;
}

function describeGrantee({ grantee }: Grant, owner: string, names: ReadonlyMap<string, string>): string {
  for (const [uri, group] of GROUP_URIS) {
    if (group === grantee) return `<Grantee ${XSI} xsi:type="Group"><URI>${uri}</URI></Grantee>`;
  }
  if (grantee === "owner") return `<Grantee ${XSI} xsi:type="CanonicalUser">${ownerFields(owner)}</Grantee>`;
  const name = names.get(grantee);
  const shown = name === undefined ? "" : `<DisplayName>${escapeXml(name)}</DisplayName>`;
  return `<Grantee ${XSI} xsi:type="CanonicalUser"><ID>${grantee}</ID>${shown}</Grantee>`;
}

/** The list that a request brings in its headers or its body, checked; null: what holds without a list. */
export async function readAccessListChange(
  request: S3Request,
  deps: S3Deps,
  owner: string | undefined,
): Promise<string | null> {
  refuseWhereDisabled(request, true);
  const list = await readChange(request, owner);
  await checkAccessList(request, deps, { list, checksBlock: true });
  return isOwnerOnly(list) ? null : writeAccessList(list);
}

async function readChange(request: S3Request, owner: string | undefined): Promise<AccessList> {
  const { headers } = request.http;
  if (!hasAccessListHeaders(headers)) {
    return readAccessListDocument(await readConfiguration(request, "AccessControlPolicy"), owner);
  }
  if ((await request.body.readAll(1)).length > 0) {
    throw s3Error("InvalidArgument", "UnexpectedContent", "A request with an access list in its headers has no body.");
  }
  return readAccessListHeaders(headers, owner, request.settings) ?? [];
}

function readAccessListDocument(document: XmlElement, owner: string | undefined): AccessList {
  allowOnly(document, ["Owner", "AccessControlList"]);
  const stated = onlyChild(document, "Owner");
  const statedId = stated === undefined ? undefined : textOf(stated, "ID");
  if (statedId !== undefined && statedId !== canonicalUserId(owner ?? NOBODY)) {
    throw new GfsError("PermissionDenied", "An access list cannot give what it is of to another owner.", {
      op: "s3.access",
    });
  }
  const list = onlyChild(document, "AccessControlList");
  if (list === undefined) throw malformedXml("has no AccessControlList");
  allowOnly(list, ["Grant"]);
  const grants = childrenNamed(list, "Grant");
  if (grants.length > MAX_GRANTS) throw malformedXml(`has more than ${MAX_GRANTS} grants`);
  return grants.map((grant) => readGrant(grant, owner ?? NOBODY));
}

function readGrant(element: XmlElement, owner: string): Grant {
  allowOnly(element, ["Grantee", "Permission"]);
  const permission = oneOf(requiredText(element, "Permission"), PERMISSIONS, "Permission");
  const grantee = onlyChild(element, "Grantee");
  if (grantee === undefined) throw malformedXml("has a Grant without Grantee");
  allowOnly(grantee, ["ID", "DisplayName", "URI", "EmailAddress"]);
  const [id, uri, email] = [textOf(grantee, "ID"), textOf(grantee, "URI"), textOf(grantee, "EmailAddress")];
  const type = grantee.attributes?.["type"];
  if (email !== undefined || type === "AmazonCustomerByEmail") {
    return { permission, grantee: granteeOf("emailaddress", email ?? "", owner) };
  }
  if (uri !== undefined && (type === undefined || type === "Group")) {
    return { permission, grantee: granteeOf("uri", uri, owner) };
  }
  if (id !== undefined && (type === undefined || type === "CanonicalUser")) {
    return { permission, grantee: granteeOf("id", id, owner) };
  }
  throw malformedXml("has a Grantee that names nobody");
}
