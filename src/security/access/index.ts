/** Who may do what: keys, roles, path grants, policies and access lists, decided in one place for every door. */
export {
  type AccessList,
  cannedAccessList,
  type Grant,
  type Grantee,
  isOwnerOnly,
  isPublicList,
  MAX_GRANTS,
  type Permission,
  PERMISSIONS,
  readAccessList,
  writeAccessList,
} from "./access-list.ts";
export { actionOnVersion, ALL_ACTIONS, GLOBALFS_ACTIONS, type GlobalfsAction, LISTINGS } from "./actions.ts";
export {
  accessListOf,
  type Ownership,
  OWNERSHIPS,
  ownershipOf,
  policyOf,
  type PublicAccessBlock,
  publicAccessBlockOf,
} from "./bucket-access.ts";
export type { Asker } from "./condition-keys.ts";
export { type StoredKey, type Keyring, createKeyring, digestOf, generateApiKey, hashApiKey } from "./keyring.ts";
export { administers, checkGiven } from "./giving.ts";
export { covers, grantAllowing, hasRole, reachesInto } from "./grants.ts";
export { ANONYMOUS, canonicalUserId, identityOf, identityOfKey, OPERATOR } from "./identity.ts";
export { ownerOfNew } from "./ownership.ts";
export { MAX_POLICY_BYTES, parsePolicy, type Policy } from "./policy-document.ts";
export { isPublicPolicy } from "./policy.ts";
export { type AccessCatalog, askListing, askOperation, askPath, once, splitAtBucket } from "./path-question.ts";
export { listingOf, nothing, type Question } from "./question.ts";
export { createTokenGate, isAccessToken, type TokenGate, tokenOf } from "./tokens.ts";
export { mayBeForbiddenBelow } from "./below.ts";
export { inOrder, type VisiblePart, visibleParts } from "./visible.ts";
export type * from "./types.ts";
export { ACCESS_ROLES } from "./types.ts";
export {
  denied,
  forbids,
  holdsAlready,
  maySettle,
  ownsFreely,
  permits,
  type Reason,
  settle,
  type Verdict,
  verdictOn,
} from "./verdict.ts";
