/** Who may do what: the one place that other parts of the gateway ask. */
export { accessListFromHeaders } from "./access-list-headers.ts";
export {
  asksBypass,
  authorize,
  authorizeKey,
  authorizeTags,
  type KeyInBody,
  refuseUnsigned,
  seesBucket,
} from "./authorize.ts";
export { corsHeaders, preflight } from "./cors.ts";
export { newBucketDocuments, ownerOfNewObject } from "./ownership.ts";
