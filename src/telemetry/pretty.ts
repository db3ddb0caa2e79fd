/** One log line for a person: time, level, event, then the fields. */
const COLORS: Readonly<Record<string, string>> = {
  debug: "\u001b[90m",
  info: "\u001b[36m",
  warn: "\u001b[33m",
  error: "\u001b[31m",
};
const RESET = "\u001b[0m";
const DIM = "\u001b[2m";

export function renderLine(json: string, color: boolean): string {
  let line: Record<string, unknown>;
  try {
    line = JSON.parse(json) as Record<string, unknown>;
  } catch {
    return json;
  }
  const { level, time, event, ...fields } = line;
  const paint = (code: string, text: string): string => (color ? `${code}${text}${RESET}` : text);
  const clock = typeof time === "string" ? time.slice(11, 23) : "";
  const label = String(level).toUpperCase().padEnd(5);
  const rest = Object.entries(fields).map(([name, value]) => `${paint(DIM, `${name}=`)}${renderValue(value)}`);
  return `${paint(DIM, clock)} ${paint(COLORS[String(level)] ?? "", label)} ${String(event)}${rest.length === 0 ? "" : `  ${rest.join(" ")}`}\n`;
}

function renderValue(value: unknown): string {
  if (typeof value === "string") return /^[\w./:@%+-]+$/.test(value) ? value : JSON.stringify(value);
  return JSON.stringify(value) ?? "undefined";
}
