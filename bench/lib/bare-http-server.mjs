// What a reader would compare with: node:http and nothing else. Arguments: port, mode (bytes or files), size or directory.
import { createReadStream, createWriteStream } from "node:fs";
import { open, rename, stat } from "node:fs/promises";
import { createServer } from "node:http";
import path from "node:path";
import { pipeline } from "node:stream/promises";

const [port, mode, argument] = process.argv.slice(2);

const body = mode === "bytes" ? Buffer.alloc(Number(argument), 7) : Buffer.alloc(0);

async function serveFile(request, response) {
  const file = path.join(argument, path.basename(request.url));
  if (request.method === "PUT") {
    const temporary = `${file}.tmp`;
    const target = createWriteStream(temporary, { highWaterMark: 1 << 20, flush: true });
    await pipeline(request, target);
    await rename(temporary, file);
    const directory = await open(argument);
    await directory.sync();
    await directory.close();
    response.writeHead(201, { "content-length": 0 }).end();
    return;
  }
  const { size } = await stat(file);
  response.writeHead(200, { "content-length": size });
  await pipeline(createReadStream(file, { highWaterMark: 1 << 20 }), response);
}

createServer((request, response) => {
  if (mode === "bytes") {
    response.writeHead(200, { "content-type": "application/octet-stream", "content-length": body.length });
    response.end(body);
    return;
  }
  serveFile(request, response).catch(() => response.destroy());
}).listen(Number(port), "127.0.0.1");
