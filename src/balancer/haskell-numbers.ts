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

/** Rounded to no decimals, halves away from zero, as `printf "%.0f"` does there. */
export const showRounded = (value: number): string =>
  Number.isFinite(value) ? String(Math.sign(value) * Math.round(Math.abs(value)) || 0) : showFloat(value);
