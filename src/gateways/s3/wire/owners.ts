import { LRUCache } from "lru-cache";
import { escapeXml } from "../../../core/xml.ts";
import { canonicalUserId } from "../../../security/index.ts";

/** Who owns what nobody claimed: directories and files that came by REST, by an import or from other tools. */
export const NOBODY = "globalfs";

const remembered = new LRUCache<string, string>({ max: 1_024 });

/** The fields of an `Owner`, an `Initiator` and the like. */
export function ownerFields(name: string = NOBODY): string {
  const known = remembered.get(name);
  if (known !== undefined) return known;
  const made = `<ID>${canonicalUserId(name)}</ID><DisplayName>${escapeXml(name)}</DisplayName>`;
  remembered.set(name, made);
  return made;
}
