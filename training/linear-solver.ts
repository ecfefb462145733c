/**
 * Solves a square system whose right side is the last column, in place, by Gauss elimination with partial pivoting.
 * A column without a pivot (a singular system) gives 0. O(n³). The mark of multiple linear regression needs it:
 * `simple-statistics`, which has the quantiles of the other marks, fits lines of one variable only.
 */
export function solveLinear(matrix: Float64Array[]): Float64Array {
  const n = matrix.length;
  for (let k = 0; k < n; k++) {
    let pivot = k;
    for (let i = k + 1; i < n; i++) if (Math.abs(matrix[i]![k]!) > Math.abs(matrix[pivot]![k]!)) pivot = i;
    [matrix[k], matrix[pivot]] = [matrix[pivot]!, matrix[k]!];
    const head = matrix[k]!;
    if (head[k] === 0) continue;
    for (let i = k + 1; i < n; i++) {
      const factor = matrix[i]![k]! / head[k]!;
      if (factor === 0) continue;
      for (let j = k; j <= n; j++) matrix[i]![j]! -= factor * head[j]!;
    }
  }
  const x = new Float64Array(n);
  for (let i = n - 1; i >= 0; i--) {
    const row = matrix[i]!;
    if (row[i] === 0) continue;
    let sum = row[n]!;
    for (let j = i + 1; j < n; j++) sum -= row[j]! * x[j]!;
    x[i] = sum / row[i]!;
  }
  return x;
}
