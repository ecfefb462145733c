/** Numbers as Ganeti's tools, written in Haskell, read and show them: their files are read back by those tools. */

const INTEGER = /^\s*(-?)\s*(\d+|0[xX][0-9a-fA-F]+|0[oO][0-7]+)$/;
const FLOAT = /^\s*(-?)\s*(\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|NaN|Infinity|0[xX][0-9a-fA-F]+)$/;

/** An integer literal (`12`, `-3`, `0x10`), or undefined. No `+`, no decimal point, no trailing space. */
export function readInteger(text: string): number | undefined {
  const match = INTEGER.exec(text);
  if (match === null) return undefined;
  const value = Number(match[2]);
  return match[1] === '-' ? -value : value;
}

/** A floating-point literal (`12`, `12.5`, `1e3`, `NaN`, `Infinity`), or undefined. `.5` and `5.` are none. */
export function readFloat(text: string): number | undefined {
  const match = FLOAT.exec(text);
  if (match === null) return undefined;
  const value = Number(match[2]);
  return match[1] === '-' ? -value : value;
}

/**
 * The shortest form with at least one decimal: `1.0`, `0.25`, `5.0e-2`, `1.0e7`.
 *
 * @example
 * showFloat(4) === '4.0' && showFloat(0.05) === '5.0e-2'
 */
export function showFloat(value: number): string {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? 'Infinity' : '-Infinity';
  const size = Math.abs(value);
  if (size === 0) return Object.is(value, -0) ? '-0.0' : '0.0';
  if (size >= 0.1 && size < 1e7) {
    const plain = String(value);
    return plain.includes('.') ? plain : `${plain}.0`;
  }
  const [mantissa = '', exponent = ''] = value.toExponential().split('e');
  return `${mantissa.includes('.') ? mantissa : `${mantissa}.0`}e${Number(exponent)}`;
}

/**
 * `printf "%.Nf"`: rounds the shortest decimal form of the number, halves to the even digit: `1.125` is `1.12`.
 *
 * @example
 * showFixed(1.125, 2) === '1.12' && showFixed(2.5, 0) === '2'
 */
export function showFixed(value: number, decimals: number): string {
  if (!Number.isFinite(value)) return showFloat(value);
  const [mantissa = '', exponentText = '0'] = Math.abs(value).toExponential().split('e');
  const digits = mantissa.replace('.', '');
  const exponent = Number(exponentText); // the first digit counts 10^exponent
  const kept = exponent + 1 + decimals;
  if (kept >= digits.length) return value.toFixed(decimals);
  if (kept < 0) return (0 * Math.sign(value)).toFixed(decimals);
  const rest = digits.slice(kept);
  const half = rest[0] === '5' && !/[1-9]/.test(rest.slice(1));
  const odd = Number(digits[kept - 1] ?? 0) % 2 === 1;
  const up = half ? odd : rest[0]! >= '5';
  const whole = (BigInt(digits.slice(0, kept) || '0') + (up ? 1n : 0n))
    .toString()
    .padStart(decimals + 1, '0');
  const point = whole.length - decimals;
  const text = decimals === 0 ? whole : `${whole.slice(0, point)}.${whole.slice(point)}`;
  return value < 0 ? `-${text}` : text;
}
