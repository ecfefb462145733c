/**
 * How measured durations of a cluster, or of one way of moving in it, lie against physics on the log scale: the line
 * log T = log physics + offset + slope · (log physics − center). A slope above −1 keeps what is longer by physics longer.
 */
export interface Calibration {
  offset: number;
  slope: number;
  center: number;
}

/** The corrected logarithm of a duration, by the line of the family (key) where it is known, else of the cluster. */
export function calibrated(
  calibrations: ReadonlyMap<string, Calibration>,
  family: string,
  cluster: string,
  physicsLog: number,
): number {
  const line = calibrations.get(family) ?? calibrations.get(cluster);
  if (line === undefined) return physicsLog;
  return physicsLog + line.offset + line.slope * (physicsLog - line.center);
}
