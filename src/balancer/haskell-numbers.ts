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
 * `printf "%.Nf"`: rounds the shortest decimal form of the number, halves to the even digit: `1.125` is `1.12`. What is
 * below 0 keeps its sign, however little is left of it.
 *
 * @example
 * showFixed(1.125, 2) === '1.12' && showFixed(2.5, 0) === '2' && showFixed(-1e-9, 3) === '-0.000'
 */
export function showFixed(value: number, decimals: number): string {
  if (!Number.isFinite(value)) return showFloat(value);
  const { digits, exponent } = shortestDigits(value);
  const whole = roundDigits(digits, exponent + 1 + decimals).padStart(decimals + 1, '0');
  const point = whole.length - decimals;
  const text = decimals === 0 ? whole : `${whole.slice(0, point)}.${whole.slice(point)}`;
  return isBelowZero(value) ? `-${text}` : text;
}

/**
 * `printf "%.Ng"`: fixed from 0.1 up to 10^7, else with an exponent; N decimals in both.
 *
 * @example
 * showGeneral(0.25, 6) === '0.250000' && showGeneral(0.017578125, 6) === '1.757812e-2'
 */
export function showGeneral(value: number, decimals: number): string {
  const size = Math.abs(value);
  if (!Number.isFinite(value) || size === 0 || (size >= 0.1 && size < 1e7)) return showFixed(value, decimals);
  const { digits, exponent } = shortestDigits(value);
  const rounded = roundDigits(digits, 1 + decimals);
  const carried = rounded.length - 1 - decimals; // 9.99… became 10.0…
  const text = `${rounded[0]!}.${rounded.slice(1, 1 + decimals)}e${exponent + carried}`;
  return isBelowZero(value) ? `-${text}` : text;
}

const isBelowZero = (value: number): boolean => value < 0 || Object.is(value, -0);

/** The fewest digits that tell a number from its neighbours; the first counts 10^exponent. */
function shortestDigits(value: number): { digits: string; exponent: number } {
  const [mantissa = '', exponent = '0'] = Math.abs(value).toExponential().split('e');
  return { digits: mantissa.replace('.', ''), exponent: Number(exponent) };
}

/** The first `kept` of some digits as a whole number, rounded by the others, a half to the even digit. */
function roundDigits(digits: string, kept: number): string {
  if (kept >= digits.length) return digits.padEnd(kept, '0');
  if (kept < 0) return '0';
  const rest = digits.slice(kept);
  const isHalf = rest[0] === '5' && !/[1-9]/.test(rest.slice(1));
  const isOdd = Number(digits[kept - 1] ?? 0) % 2 === 1;
  const isUp = isHalf ? isOdd : rest[0]! >= '5';
  return (BigInt(digits.slice(0, kept) || '0') + (isUp ? 1n : 0n)).toString();
}
