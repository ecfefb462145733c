/**
 * Uniform numbers in [0, 1) that are the same for the same seed on every machine: mulberry32 by Tommy Ettinger (public
 * domain), 32 bits of state. For sampling and shuffling, never for secrets.
 *
 * @example
 * seededRandom(1)() === seededRandom(1)()
 */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}
