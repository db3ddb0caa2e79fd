import { request } from "undici";

/** A request to a coordinator under measurement; its answer's text. */
export async function call(
  port: number,
  method: "GET" | "POST" | "PUT",
  target: string,
  body?: Buffer,
): Promise<string> {
  const answer = await request(`http://127.0.0.1:${port}${target}`, {
    method,
    headers: { "x-globalfs-client": "bench" },
    ...(body === undefined ? {} : { body }),
  });
  const text = await answer.body.text();
  if (answer.statusCode >= 300) throw new Error(`${method} ${target} answered ${answer.statusCode}: ${text}`);
  return text;
}

export async function queueDepth(port: number): Promise<number> {
  return (JSON.parse(await call(port, "GET", "/api/v1/info")) as { replication_queue_depth: number })
    .replication_queue_depth;
}
