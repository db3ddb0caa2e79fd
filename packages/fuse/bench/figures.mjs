// What is made of the figures of many rounds.

function quantile(figures, share) {
  const sorted = figures.toSorted((left, right) => left - right);
  const place = (sorted.length - 1) * share;
  const [below, above] = [sorted[Math.floor(place)], sorted[Math.ceil(place)]];
  return below + (above - below) * (place - Math.floor(place));
}

export function median(figures) {
  return quantile(figures, 0.5);
}

/** Half of the rounds are within so much of the median: half the distance of the quartiles, as a share of the median. */
export function spread(figures) {
  return (quantile(figures, 0.75) - quantile(figures, 0.25)) / 2 / median(figures);
}

/** How two targets compare. What was measured right after each other is compared first, so what the machine did meanwhile is in both. */
export function ratio(results, others) {
  return median(results.map(({ value }, round) => value / others[round].value));
}
