import { readFile } from "node:fs/promises";
import { fromErrno, GfsError, toGfsError } from "../../core/errors.ts";
import type { Logger } from "../../core/ports/log.ts";
import type { TlsFiles } from "../../gateways/http/index.ts";
import type { TlsConfig } from "../config/index.ts";

/** `section` is where the configuration names them, such as `s3.tls`. */
export async function readTls(files: TlsConfig, section: string): Promise<TlsFiles> {
  const read = async (path: string, field: string): Promise<Buffer> => {
    try {
      return await readFile(path);
    } catch (error) {
      const reason = fromErrno(error, "tls.read").message;
      throw new GfsError("ConfigInvalid", `${section}.${field} names ${path}, which cannot be read: ${reason}`, {
        cause: error,
      });
    }
  };
  return {
    cert: await read(files.certFile, "cert_file"),
    key: await read(files.keyFile, "key_file"),
    ...(files.clientCaFile === undefined ? {} : { ca: await read(files.clientCaFile, "client_ca_file") }),
  };
}

/** Reads them anew; what cannot be read or used leaves the old ones. */
export async function renewTls(
  files: TlsConfig,
  { section, log, use }: { readonly section: string; readonly log: Logger; readonly use: (files: TlsFiles) => void },
): Promise<void> {
  try {
    use(await readTls(files, section));
    log.info("certificate_renewed", { section });
  } catch (error) {
    log.error("certificate_not_renewed", { section, error: toGfsError(error).message });
  }
}
