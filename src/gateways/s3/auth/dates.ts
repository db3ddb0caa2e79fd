/** The two ways in which requests say when they were signed. */

const AMZ_DATE = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/;
/** RFC 5322 as clients write it. Without a zone it would be local time. */
const HTTP_DATE = /^(?:[A-Z][a-z]{2}, )?\d{1,2} [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d (?:GMT|UTC|[+-]\d{4})$/;

let lastDate = "";
let lastMs: number | undefined;

/** Such as 20130524T000000Z. The same second is named again and again. */
export function timeOfAmzDate(text: string): number | undefined {
  if (text === lastDate) return lastMs;
  const match = AMZ_DATE.exec(text);
  if (match === null) return undefined;
  const [, year, month, day, hour, minute, second] = match.map(Number);
  const timeMs = Date.UTC(year as number, (month as number) - 1, day, hour, minute, second);
  if (amzDateOf(timeMs) !== text) return undefined;
  lastDate = text;
  lastMs = timeMs;
  return timeMs;
}

/** Such as `Fri, 24 May 2013 00:00:00 GMT`; as on AWS, none before 1970 is valid. */
export function timeOfHttpDate(text: string): number | undefined {
  const timeMs = HTTP_DATE.test(text) ? Date.parse(text) : Number.NaN;
  return timeMs >= 0 ? timeMs : undefined;
}

export function amzDateOf(timeMs: number): string {
  return new Date(Math.floor(timeMs / 1_000) * 1_000).toISOString().replace(/[-:]|\.\d{3}/g, "");
}
