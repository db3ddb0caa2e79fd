import net from "node:net";

/** Bytes on a connection as they are, and what comes back. */
export interface Conversation {
  readonly socket: net.Socket;
  said(): string;
  /** Resolves with all that was said once it fits. */
  heard(pattern: RegExp): Promise<string>;
  readonly ended: Promise<string>;
}

export function talkTo(port: number, text: string | Buffer): Conversation {
  let said = "";
  const socket = net.connect(port, "127.0.0.1");
  socket.write(text, "latin1");
  socket.on("error", () => undefined);
  socket.on("data", (piece: Buffer) => {
    said += piece.toString("latin1");
  });
  const ended = new Promise<string>((resolve) => socket.once("close", () => resolve(said)));
  return {
    socket,
    said: () => said,
    ended,
    heard: async (pattern) =>
      await new Promise((resolve, reject) => {
        const look = (): void => {
          if (pattern.test(said)) resolve(said);
        };
        socket.on("data", look);
        socket.once("close", () => {
          look();
          reject(new Error(`The connection ended after ${JSON.stringify(said.slice(0, 500))}.`));
        });
        look();
      }),
  };
}
