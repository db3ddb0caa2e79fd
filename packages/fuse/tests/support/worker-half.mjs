// A file system in the worker that answers for the file `fast` and leaves everything else to the main thread.
import { DEFER } from "../../dist/index.js";
import { namedFiles } from "./file-systems.mjs";

export function createFileSystem() {
  const own = namedFiles({ fast: { read: () => Buffer.from("from the worker") } });
  const deferring = {};
  for (const [name, operation] of Object.entries(own)) {
    deferring[name] = (request) => (isOwn(request) ? operation(request) : DEFER);
  }
  return deferring;
}

function isOwn(request) {
  if (request.name !== undefined) return request.name === "fast";
  return request.inode <= 2;
}
