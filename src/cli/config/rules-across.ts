import { type ConfigOrigin, type ConfigProblem, problemAt } from "../../core/config/problems.ts";
import { isRecord, type Path, pathText, valueAt } from "../../core/config/walk.ts";
import { parseListenAddress } from "../../security/index.ts";
import { isHostName } from "./s3-schema.ts";

/** What no field can say alone. Looks at the tree as written, so that it can speak even where fields are wrong. */
export function problemsAcross(root: unknown, origin: ConfigOrigin): ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  const add = (path: Path, message: string): void => {
    problems.push(problemAt(origin, path, message));
  };
  const sites = listAt(root, ["sites"]);
  if (sites.length === 0) {
    add(["sites"], "no sites are configured; add at least one entry under `sites`, with `name`, `role` and `store`");
  }
  uniqueNames(sites, ["sites"], "site", add);
  uniqueNames(listAt(root, ["policy", "rules"]), ["policy", "rules"], "rule", add);
  uniqueNames(listAt(root, ["security", "api_keys"]), ["security", "api_keys"], "API key", add);
  sites.forEach((site, index) => checkSite(site, ["sites", index], add));
  checkListen(root, add);
  checkS3(root, add);
  checkKeys(root, add);
  checkBandwidth(root, sites, add);
  return problems;
}

type Add = (path: Path, message: string) => void;

function listAt(root: unknown, path: Path): readonly unknown[] {
  const value = valueAt(root, path);
  return Array.isArray(value) ? (value as unknown[]) : [];
}

function uniqueNames(list: readonly unknown[], path: Path, what: string, add: Add): void {
  const seen = new Set<string>();
  list.forEach((item, index) => {
    const name = isRecord(item) ? item["name"] : undefined;
    if (typeof name !== "string") return;
    if (seen.has(name))
      add([...path, index, "name"], `there are two ${what}s with the name \`${name}\`; give each its own`);
    seen.add(name);
  });
}

function checkSite(site: unknown, path: Path, add: Add): void {
  if (!isRecord(site)) return;
  const { objectfs, store } = site;
  const name = typeof site["name"] === "string" ? `site \`${site["name"]}\`` : "the site";
  if (objectfs === undefined && store === undefined) {
    add(
      path,
      `${name} says nothing of where its objects are; add \`store\` with a \`driver\`, or \`objectfs\` with \`s3_bucket\` and \`s3_region\``,
    );
  }
  if (objectfs !== undefined && store !== undefined) {
    add([...path, "objectfs"], `${name} has both \`store\` and \`objectfs\`; keep one`);
  }
  if (!isRecord(store)) return;
  const both = (one: string, other: string): void => {
    if ((store[one] === undefined) !== (store[other] === undefined)) {
      const missing = store[one] === undefined ? one : other;
      add([...path, "store"], `${name} needs \`${one}\` and \`${other}\` together; \`${missing}\` is missing`);
    }
  };
  if (store["driver"] === "s3" || store["driver"] === "gcs") both("access_key_id", "secret_access_key");
  if (store["driver"] === "s3" && store["session_token"] !== undefined && store["access_key_id"] === undefined) {
    add([...path, "store", "session_token"], `${name} has a \`session_token\` without \`access_key_id\``);
  }
  if (store["anonymous"] === true && store["access_key_id"] !== undefined) {
    add([...path, "store", "anonymous"], `${name} is \`anonymous\` and has an access key; keep one`);
  }
  if (store["driver"] === "azure" && store["account"] === undefined && store["connection_string"] === undefined) {
    add([...path, "store"], `${name} needs an \`account\` or a \`connection_string\``);
  }
  if (store["driver"] === "azure" && store["connection_string"] !== undefined) {
    for (const other of ["account_key", "sas"]) {
      if (store[other] !== undefined)
        add([...path, "store", other], `${name} has \`connection_string\` and \`${other}\`; keep one`);
    }
  }
}

function checkListen(root: unknown, add: Add): void {
  const api = listenAt(root, ["coordinator", "listen_addr"], { add, otherwise: ":8090" });
  if (!isRecord(valueAt(root, ["s3"]))) return;
  const s3 = listenAt(root, ["s3", "listen_addr"], { add, otherwise: ":8091" });
  const same = api !== undefined && s3 !== undefined && api.port === s3.port && api.port !== 0 && api.host === s3.host;
  if (same) {
    add(
      ["s3", "listen_addr"],
      `\`s3.listen_addr\` is the address of \`coordinator.listen_addr\`; give the S3 endpoint a port of its own, such as :8091`,
    );
  }
}

function listenAt(
  root: unknown,
  path: Path,
  { add, otherwise }: { readonly add: Add; readonly otherwise: string },
): ReturnType<typeof parseListenAddress> | undefined {
  const listen = valueAt(root, path) ?? otherwise;
  if (typeof listen !== "string" || listen === "") return undefined;
  try {
    return parseListenAddress(listen, true);
  } catch (error) {
    add(path, `\`${pathText(path)}\`: ${(error as Error).message}`);
    return undefined;
  }
}

/** A key is proved by what it is or by a certificate, and certificates need somebody who issues them. */
function checkKeys(root: unknown, add: Add): void {
  const trusted = valueAt(root, ["coordinator", "tls", "client_ca_file"]) !== undefined;
  listAt(root, ["security", "api_keys"]).forEach((key, index) => {
    if (!isRecord(key)) return;
    const path: Path = ["security", "api_keys", index];
    const { hash, certificate } = key;
    if ((hash === undefined) === (certificate === undefined))
      add(path, `\`${pathText(path)}\` needs either \`hash\`, which \`globalfs key hash\` makes, or \`certificate\``);
    if (certificate !== undefined && !trusted)
      add([...path, "certificate"], `\`${pathText(path)}.certificate\` needs \`coordinator.tls.client_ca_file\``);
  });
}

function checkS3(root: unknown, add: Add): void {
  const workers = valueAt(root, ["s3", "workers"]);
  if (typeof workers === "number" && workers > 1 && valueAt(root, ["coordinator", "kv", "engine"]) === "memory") {
    add(
      ["s3", "workers"],
      "`s3.workers` needs a catalog that several processes can read; set `coordinator.kv.engine` to lmdb, or `s3.workers` to 1",
    );
  }
  uniqueNames(listAt(root, ["s3", "webhooks"]), ["s3", "webhooks"], "webhook", add);
  listAt(root, ["s3", "domains"]).forEach((domain, index) => {
    if (typeof domain === "string" && !isHostName(domain)) {
      add(
        ["s3", "domains", index],
        `\`${domain}\` is no host name; write it in lower case and without port, such as s3.example.org`,
      );
    }
  });
}

function checkBandwidth(root: unknown, sites: readonly unknown[], add: Add): void {
  const known = new Set(sites.map((site) => (isRecord(site) ? site["name"] : undefined)));
  listAt(root, ["performance", "bandwidth"]).forEach((limit, index) => {
    for (const side of ["from", "to"]) {
      const name = isRecord(limit) ? limit[side] : undefined;
      if (typeof name === "string" && name !== "*" && !known.has(name)) {
        add(
          ["performance", "bandwidth", index, side],
          `there is no site \`${name}\`; write a site's name, or \`*\` for any`,
        );
      }
    }
  });
}
