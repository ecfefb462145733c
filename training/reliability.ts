/** One stated chance, and whether it came true. */
export interface StatedChance {
  p: number;
  outcome: boolean;
  weight: number;
}

/** Edges of the bins in which stated chances are compared with what came: finer towards 1, where most of them lie. */
const EDGES = [0, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 1];

export interface ReliabilityBin {
  from: number;
  to: number;
  weight: number;
  stated: number;
  came: number;
}

/** Mean squared distance of chance and outcome (Brier 1950); 0 is perfect. */
export function brierScore(chances: readonly StatedChance[]): number {
  let sum = 0;
  let total = 0;
  for (const { p, outcome, weight } of chances) {
    sum += weight * (p - Number(outcome)) ** 2;
    total += weight;
  }
  return sum / total;
}

/** Mean stated chance and share that came true, by bin; empty bins are left out. */
export function reliability(chances: readonly StatedChance[]): ReliabilityBin[] {
  return EDGES.slice(1).flatMap((to, k) => {
    const from = EDGES[k]!;
    const last = k === EDGES.length - 2;
    const inside = chances.filter(({ p }) => p >= from && (p < to || (last && p <= to)));
    const weight = inside.reduce((sum, { weight: w }) => sum + w, 0);
    if (weight === 0) return [];
    const mean = (of: (chance: StatedChance) => number): number =>
      inside.reduce((sum, chance) => sum + chance.weight * of(chance), 0) / weight;
    return [{ from, to, weight, stated: mean(({ p }) => p), came: mean(({ outcome }) => Number(outcome)) }];
  });
}

/** Expected calibration error: mean distance of stated chance and what came, over the bins, by weight. */
export function calibrationError(chances: readonly StatedChance[]): number {
  const bins = reliability(chances);
  const total = bins.reduce((sum, { weight }) => sum + weight, 0);
  return bins.reduce((sum, { weight, stated, came }) => sum + (weight / total) * Math.abs(stated - came), 0);
}

export function reliabilityTable(chances: readonly StatedChance[]): string {
  const lines = reliability(chances).map(
    ({ from, to, weight, stated, came }) =>
      `  ${`${from} to ${to}`.padEnd(14)} ${weight.toFixed(1).padStart(7)} ${(100 * stated).toFixed(1).padStart(9)} % ${(100 * came).toFixed(1).padStart(9)} %`,
  );
  return [
    '  stated           moves      stated        came',
    ...lines,
    `  expected calibration error ${(100 * calibrationError(chances)).toFixed(1)} points, Brier score ${brierScore(chances).toFixed(4)}`,
    '',
  ].join('\n');
}
