import { BlockList, isIP } from "node:net";

/** Ranges of addresses, as policies write them: `10.0.0.0/8`, or one address. */

export interface IpRange {
  readonly family: 4 | 6;
  readonly prefixBits: number;
  contains(address: string): boolean;
}

export function parseIpRange(text: string): IpRange | undefined {
  const [address = "", bits, ...rest] = text.split("/");
  const family = isIP(address);
  if (family === 0 || rest.length > 0) return undefined;
  const width = family === 4 ? 32 : 128;
  const prefixBits = bits === undefined ? width : /^\d{1,3}$/.test(bits) ? Number(bits) : -1;
  if (prefixBits < 0 || prefixBits > width) return undefined;
  const list = new BlockList();
  list.addSubnet(address, prefixBits, family === 4 ? "ipv4" : "ipv6");
  return {
    family: family === 4 ? 4 : 6,
    prefixBits,
    contains(candidate) {
      const plain = plainAddress(candidate);
      const kind = isIP(plain);
      return kind === family && list.check(plain, kind === 4 ? "ipv4" : "ipv6");
    },
  };
}

/** Sockets that listen on both families show IPv4 clients inside IPv6. */
export function plainAddress(address: string): string {
  return address.startsWith("::ffff:") && isIP(address.slice(7)) === 4 ? address.slice(7) : address;
}
