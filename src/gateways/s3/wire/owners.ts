import { escapeXml } from "../../../core/xml.ts";
import { canonicalUserId } from "../../../security/index.ts";

/** Who owns what nobody claimed: directories and files that came by REST, by an import or from other tools. */
export const NOBODY = "globalfs";

const MAX_REMEMBERED = 1_024;
const remembered = new Map<string, string>();

/** The fields of an `Owner`, an `Initiator` and the like. */
export function ownerFields(name: string = NOBODY): string {
  const known = remembered.get(name);
  if (known !== undefined) return known;
  const made = `<ID>${canonicalUserId(name)}</ID><DisplayName>${escapeXml(name)}</DisplayName>`;
  if (remembered.size >= MAX_REMEMBERED) remembered.clear();
  remembered.set(name, made);
  return made;
}
