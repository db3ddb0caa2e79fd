import { expect, test } from "vitest";
import { parseListenAddress } from "./address.ts";

test.each([
  [":8090", { port: 8090 }],
  ["127.0.0.1:0", { host: "127.0.0.1", port: 0 }],
  ["localhost:80", { host: "localhost", port: 80 }],
  ["[::1]:8090", { host: "::1", port: 8090 }],
  [" 0.0.0.0:65535 ", { host: "0.0.0.0", port: 65_535 }],
])("%j is an address to listen on", (text, address) => {
  expect(parseListenAddress(text)).toEqual(address);
});

test.each(["8090", "localhost", ":", ":70000", "::1:8090", "[::1]", "[localhost]:80", "a b:80", "http://x:80", ":-1"])(
  "%j is none, and the error says what to write",
  (text) => {
    expect(() => parseListenAddress(text)).toThrow(/is not an address to listen on; write host:port/);
  },
);
