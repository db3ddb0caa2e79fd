/** How elements of answers are written. */

export function element(name: string, text: string | undefined): string {
  return text === undefined ? "" : `<${name}>${text}</${name}>`;
}

const DAY_MS = 86_400_000;
const TWO_DIGITS: readonly string[] = Array.from({ length: 60 }, (_, number) => String(number).padStart(2, "0"));
let isoDay = -1;
let isoDate = "";

/** In whole seconds, as S3 has it. The days of a listing are few: only their clock is put together each time. */
export function isoTime(timeMs: number): string {
  const day = Math.floor(timeMs / DAY_MS);
  if (day !== isoDay) {
    isoDay = day;
    isoDate = new Date(day * DAY_MS).toISOString().slice(0, 11);
  }
  const second = Math.floor((timeMs - day * DAY_MS) / 1_000);
  const minute = Math.floor(second / 60);
  return `${isoDate}${TWO_DIGITS[Math.floor(minute / 60)]}:${TWO_DIGITS[minute % 60]}:${TWO_DIGITS[second % 60]}.000Z`;
}
