import { expect, test } from "vitest";
import { allocateFrameRing, FrameRing } from "./frame-ring.ts";

test("frames come out in the order in which they went in, however often slots are used again", () => {
  const memory = allocateFrameRing(3, 64);
  const [worker, main] = [new FrameRing(memory), new FrameRing(memory)];
  let sent = 0;
  let received = 0;
  for (let round = 0; round < 50; round += 1) {
    const count = (round % 3) + 1;
    for (let index = 0; index < count; index += 1) {
      const slot = worker.acquire();
      worker.buffer(slot).writeUInt32LE(sent);
      worker.push(slot, 4 + index);
      sent += 1;
    }
    for (let index = 0; index < count; index += 1) {
      const slot = main.shift();
      expect(main.buffer(slot).readUInt32LE()).toBe(received);
      expect(main.lengthBytes(slot)).toBe(4 + index);
      received += 1;
      main.release(slot);
    }
    expect(main.shift()).toBe(-1);
  }
});

test("only a sleeping reader has to be woken, and it does not sleep over what came in meanwhile", () => {
  const memory = allocateFrameRing(4, 64);
  const [worker, main] = [new FrameRing(memory), new FrameRing(memory)];
  expect(worker.push(worker.acquire(), 1)).toBe(true);
  expect(worker.push(worker.acquire(), 1)).toBe(false);
  main.release(main.shift());
  expect(main.sleep()).toBe(false);
  main.release(main.shift());
  expect(main.sleep()).toBe(true);
  expect(worker.push(worker.acquire(), 1)).toBe(true);
});

test("a closed ring gives out nothing", () => {
  const ring = new FrameRing(allocateFrameRing(1, 64));
  ring.close();
  expect(ring.acquire()).toBe(-1);
});
