import { eastAsianWidth } from "get-east-asian-width";

/** How many columns of a terminal a text takes. Escape what is no text first: nothing here knows what a terminal does with it. */
export function widthOf(text: string): number {
  if (isPlain(text)) return text.length;
  let width = 0;
  for (const { segment } of segments(text)) width += clusterWidth(segment);
  return width;
}

/** As much of the text as has room, with a mark where something is missing. */
export function truncateTo(text: string, columns: number): string {
  if (widthOf(text) <= columns) return text;
  let kept = "";
  let width = 1;
  for (const { segment } of segments(text)) {
    width += clusterWidth(segment);
    if (width > columns) break;
    kept += segment;
  }
  return `${kept}…`;
}

function isPlain(text: string): boolean {
  return /^[\x20-\x7e]*$/.test(text);
}

let segmenter: Intl.Segmenter | undefined;

function segments(text: string): Intl.Segments {
  segmenter ??= new Intl.Segmenter(undefined, { granularity: "grapheme" });
  return segmenter.segment(text);
}

const EMOJI_VARIATION = "\ufe0f";

/** A cluster is as wide as its first character: what is joined to that is drawn over it. */
function clusterWidth(cluster: string): number {
  if (cluster.includes(EMOJI_VARIATION) || /^\p{Regional_Indicator}{2}$/u.test(cluster)) return 2;
  if (/^[\p{Mn}\p{Me}\p{Cf}\p{Cc}]/u.test(cluster)) return 0;
  return eastAsianWidth(cluster.codePointAt(0) as number);
}
