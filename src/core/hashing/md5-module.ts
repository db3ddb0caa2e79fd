/**
 * MD5 as WebAssembly, written out here so that nothing has to be compiled or committed in binary. One MD5 waits for itself at each of its steps
 * and leaves most of a core unused; four or eight bodies at once, each in one lane of the vector registers, fill it
 * (measured: 0.79 GB/s by node:crypto, 0.84 one at a time here, 2.2 with four lanes, 3.0 with eight).
 *
 * The module imports its memory as `e.m` and exports `f(pointer of each lane..., blocks, state)`: each lane reads `blocks` times 64 bytes from
 * its pointer on. The state is four words in groups of four lanes: the first word of each lane, then the second words, and so on.
 */
export type Lanes = 1 | 4 | 8;

/** Where in a state lies this word of this lane, counted in words of four bytes. */
export function wordIndex(lane: number, word: number): number {
  return (lane >> 2) * 16 + word * 4 + (lane & 3);
}

export const MD5_START: readonly number[] = [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476];

const ROTATIONS = [
  [7, 12, 17, 22],
  [5, 9, 14, 20],
  [4, 11, 16, 23],
  [6, 10, 15, 21],
] as const;

/** Which word of the block each of the 64 steps takes, by its round. */
const WORD_OF_STEP = [
  (step: number) => step,
  (step: number) => (5 * step + 1) % 16,
  (step: number) => (3 * step + 5) % 16,
  (step: number) => (7 * step) % 16,
] as const;

type Code = readonly number[];

/** How the steps are spelled for one body in plain integers, or for four in vectors. */
interface Arithmetic {
  readonly type: number;
  readonly add: Code;
  readonly xor: Code;
  readonly or: Code;
  readonly not: Code;
  load(offset: number): Code;
  store(offset: number): Code;
  constant(value: number): Code;
  /** Chooses by the bits of the third: of the first where they are set, else of the second. */
  choose(first: Code, second: Code, third: Code): Code;
  rotate(by: number, scratch: number): Code;
}

export function buildMd5Module(lanes: Lanes): WebAssembly.Module {
  return new WebAssembly.Module(assemble(lanes));
}

function assemble(lanes: Lanes): Uint8Array<ArrayBuffer> {
  const groups = Math.ceil(lanes / 4);
  const arithmetic = lanes === 1 ? PLAIN : VECTOR;
  const [blocks, state] = [lanes, lanes + 1];
  const firstLocal = lanes + 2;
  /** Of each group: what is hashed, what was before this block, and the block's words; then scratch for all. */
  const GROUP_LOCALS = 24;
  const local = (group: number, index: number): number => firstLocal + group * GROUP_LOCALS + index;
  const scratch = (index: number): number => firstLocal + groups * GROUP_LOCALS + index;
  const everyWord = [0, 1, 2, 3];
  const everyGroup = Array.from({ length: groups }, (_, group) => group);
  const code: number[] = [];
  const emit = (...parts: readonly Code[]): void => {
    for (const part of parts) code.push(...part);
  };

  for (const group of everyGroup) {
    for (const word of everyWord) emit(get(state), arithmetic.load(group * 64 + word * 16), set(local(group, word)));
  }
  emit(LOOP);
  for (const group of everyGroup) {
    for (const word of everyWord) emit(get(local(group, word)), set(local(group, 4 + word)));
    const word = (index: number): number => local(group, 8 + index);
    if (lanes === 1) {
      for (let index = 0; index < 16; index++) emit(get(0), arithmetic.load(4 * index), set(word(index)));
    } else {
      for (let quarter = 0; quarter < 4; quarter++) {
        for (const lane of everyWord)
          emit(get(4 * group + lane), arithmetic.load(16 * quarter), set(word(4 * quarter + lane)));
        emit(
          transpose(
            four((lane) => word(4 * quarter + lane)),
            four(scratch),
          ),
        );
      }
    }
  }
  for (let step = 0; step < 64; step++) {
    const round = (step >> 4) as 0 | 1 | 2 | 3;
    const rotation = ROTATIONS[round][(step & 3) as 0 | 1 | 2 | 3];
    const constant = Math.floor(Math.abs(Math.sin(step + 1)) * 2 ** 32) >>> 0;
    for (const group of everyGroup) {
      const [a, b, c, d] = four((index) => local(group, (index + 64 - step) % 4));
      emit(get(a), get(local(group, 8 + WORD_OF_STEP[round](step))), arithmetic.constant(constant));
      emit(arithmetic.add, arithmetic.add);
      if (round === 0) emit(arithmetic.choose(get(c), get(d), get(b)));
      else if (round === 1) emit(arithmetic.choose(get(b), get(c), get(d)));
      else if (round === 2) emit(get(b), get(c), get(d), arithmetic.xor, arithmetic.xor);
      else emit(get(d), arithmetic.not, get(b), arithmetic.or, get(c), arithmetic.xor);
      emit(arithmetic.add, arithmetic.rotate(rotation, scratch(group)), get(b), arithmetic.add, set(a));
    }
  }
  for (const group of everyGroup) {
    for (const word of everyWord) {
      emit(get(local(group, word)), get(local(group, 4 + word)), arithmetic.add, set(local(group, word)));
    }
  }
  for (let lane = 0; lane < lanes; lane++) emit(get(lane), PLAIN.constant(64), PLAIN.add, set(lane));
  emit(get(blocks), PLAIN.constant(1), SUBTRACT, tee(blocks), AGAIN_UNLESS_ZERO, END);
  for (const group of everyGroup) {
    for (const word of everyWord) emit(get(state), get(local(group, word)), arithmetic.store(group * 64 + word * 16));
  }
  emit(END);

  const locals = [1, ...unsigned(groups * GROUP_LOCALS + 4), arithmetic.type];
  const integers = Array.from({ length: lanes + 2 }, () => INTEGER);
  return new Uint8Array([
    ...HEADER,
    ...section(1, [1, 0x60, integers.length, ...integers, 0]),
    // The memory is shared, and has at least one page and at most as many as memory can have.
    ...section(2, [1, ...name("e"), ...name("m"), 2, 3, ...unsigned(1), ...unsigned(65_536)]),
    ...section(3, [1, 0]),
    ...section(7, [1, ...name("f"), 0, 0]),
    ...section(10, [1, ...unsigned(locals.length + code.length), ...locals, ...code]),
  ]);
}

type Four = readonly [number, number, number, number];

function four(of: (index: number) => number): Four {
  return [of(0), of(1), of(2), of(3)];
}

/** Of four lanes with four words each to four words of four lanes each, in place. */
function transpose(rows: Four, scratch: Four): Code {
  const pair = (from: readonly [number, number], to: number, words: Four): Code => [
    ...get(from[0]),
    ...get(from[1]),
    ...vector(0x0d),
    ...words.flatMap((word) => [4 * word, 4 * word + 1, 4 * word + 2, 4 * word + 3]),
    ...set(to),
  ];
  const [low, high]: [Four, Four] = [
    [0, 4, 1, 5],
    [2, 6, 3, 7],
  ];
  const [first, second]: [Four, Four] = [
    [0, 1, 4, 5],
    [2, 3, 6, 7],
  ];
  return [
    ...pair([rows[0], rows[1]], scratch[0], low),
    ...pair([rows[2], rows[3]], scratch[1], low),
    ...pair([rows[0], rows[1]], scratch[2], high),
    ...pair([rows[2], rows[3]], scratch[3], high),
    ...pair([scratch[0], scratch[1]], rows[0], first),
    ...pair([scratch[0], scratch[1]], rows[1], second),
    ...pair([scratch[2], scratch[3]], rows[2], first),
    ...pair([scratch[2], scratch[3]], rows[3], second),
  ];
}

const HEADER: Code = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0];
const INTEGER = 0x7f;
const LOOP: Code = [0x03, 0x40];
const END: Code = [0x0b];
const SUBTRACT: Code = [0x6b];
const AGAIN_UNLESS_ZERO: Code = [0x0d, 0];

const PLAIN: Arithmetic = {
  type: INTEGER,
  add: [0x6a],
  xor: [0x73],
  or: [0x72],
  not: [0x41, 0x7f, 0x73],
  load: (offset) => [0x28, 2, ...unsigned(offset)],
  store: (offset) => [0x36, 2, ...unsigned(offset)],
  constant: (value) => [0x41, ...signed(value)],
  choose: (first, second, third) => [...first, ...second, 0x73, ...third, 0x71, ...second, 0x73],
  rotate: (by) => [0x41, ...signed(by), 0x77],
};

const VECTOR: Arithmetic = {
  type: 0x7b,
  add: vector(0xae),
  xor: vector(0x51),
  or: vector(0x50),
  not: vector(0x4d),
  load: (offset) => [...vector(0x00), 0, ...unsigned(offset)],
  store: (offset) => [...vector(0x0b), 0, ...unsigned(offset)],
  constant: (value) => {
    const bytes = [value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24];
    return [...vector(0x0c), ...bytes, ...bytes, ...bytes, ...bytes];
  },
  choose: (first, second, third) => [...first, ...second, ...third, ...vector(0x52)],
  rotate: (by, scratch) => [
    ...tee(scratch),
    ...PLAIN.constant(by),
    ...vector(0xab),
    ...get(scratch),
    ...PLAIN.constant(32 - by),
    ...vector(0xad),
    ...vector(0x50),
  ],
};

function vector(operation: number): Code {
  return [0xfd, ...unsigned(operation)];
}

function get(index: number): Code {
  return [0x20, ...unsigned(index)];
}

function set(index: number): Code {
  return [0x21, ...unsigned(index)];
}

function tee(index: number): Code {
  return [0x22, ...unsigned(index)];
}

function section(id: number, content: readonly number[]): Code {
  return [id, ...unsigned(content.length), ...content];
}

function name(text: string): Code {
  return [text.length, ...Buffer.from(text, "latin1")];
}

/** Numbers of WebAssembly have seven bits to a byte, the lowest first. */
function unsigned(value: number): number[] {
  const low = value & 0x7f;
  return value < 0x80 ? [low] : [low | 0x80, ...unsigned(value >>> 7)];
}

function signed(value: number): number[] {
  const low = value & 0x7f;
  const rest = (value | 0) >> 7;
  const ends = rest === (low & 0x40 ? -1 : 0);
  return ends ? [low] : [low | 0x80, ...signed(rest)];
}
