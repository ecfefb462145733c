// Bound once: a lookup through the global object costs more than the function itself where it is not inlined.
const { expm1, min } = Math;

/**
 * Pre-copy live migration in rounds: while round i sends V_i, the guest dirties V_(i+1) for the next round.
 * Volumes in MiB, rates in MiB/s, times in seconds.
 */
export interface PrecopyInputs {
  /** What the first round sends. */
  volumeMib: number;
  /** B: what the stream carries. */
  bandwidthMibS: number;
  /** R: how fast pages are dirtied. */
  dirtyMibS: number;
  /** W: the pages that are dirtied again and again; dirtying within a round saturates here. */
  workingSetMib: number;
  /** The guest is stopped when the rest can be sent within this time. */
  downtimeLimitSeconds: number;
  autoConverge: boolean;
  postcopy: boolean;
}

/** Filled by `precopy`, so that a hot loop allocates nothing. */
export interface PrecopyResult {
  seconds: number;
  transferredMib: number;
  downtimeSeconds: number;
  rounds: number;
  /** B of the inputs: the copying took transferredMib ÷ this. */
  bandwidthMibS: number;
  /** How far the speed of the source and of the target limits the stream: d log B by the logarithm of that speed, 0 to 1. */
  sourceLimits: number;
  targetLimits: number;
  /** False when the round limit came first: the move may never finish by itself. */
  converged: boolean;
}

export const newPrecopyResult = (): PrecopyResult => ({
  seconds: 0,
  transferredMib: 0,
  downtimeSeconds: 0,
  rounds: 0,
  bandwidthMibS: 1,
  sourceLimits: 0,
  targetLimits: 0,
  converged: true,
});

/** QEMU has no limit of rounds; Xen stops at 30. Past this many the series has become flat. */
const MOST_ROUNDS = 60;
/** Xen and libvirt give up copying ahead when several times the memory was sent; a move that long is broken off. */
const MOST_MEMORY_COPIES = 30;
/** auto-converge: throttle at first, and by how much more each time it does not help (QEMU's defaults). */
const FIRST_THROTTLE = 0.2;
const THROTTLE_STEP = 0.1;
const MOST_THROTTLE = 0.99;
/** auto-converge: throttles when more than half of what a round sent was dirtied again, for the second time. */
const DIRTIED_AGAIN_SHARE = 0.5;
/** With post-copy the switch-over sends the state of the devices only. */
const POSTCOPY_DOWNTIME_SECONDS = 0.02;

/**
 * How long the copying takes. V_0 = `volumeMib`; t_i = V_i/B; V_(i+1) = min(V_0, D(t_i)) with
 * D(t) = W(1 − e^(−R(1−s)t/W)), s the throttle. Stops when V/B ≤ the downtime limit, or at the round limit.
 * With W → ∞ and a stop after n rounds this is the closed series (V_0/B)(1 − q^(n+1))/(1 − q), q = R/B.
 * O(rounds), at most 60.
 *
 * Of a move under way: `remainingMib` of the round it is in are still to send, and the round began `secondsInRound` ago; the
 * result is then what is still to come.
 */
export function precopy(
  inputs: PrecopyInputs,
  result: PrecopyResult,
  remainingMib = inputs.volumeMib,
  secondsInRound = 0,
): PrecopyResult {
  const { volumeMib, bandwidthMibS, dirtyMibS, workingSetMib, downtimeLimitSeconds } = inputs;
  let volume = remainingMib;
  let before = secondsInRound;
  let seconds = 0;
  let sent = 0;
  let throttle = 0;
  let strikes = 0;
  let rounds = 0;
  let converged = false;
  while (rounds < MOST_ROUNDS) {
    const roundSeconds = volume / bandwidthMibS;
    seconds += roundSeconds;
    sent += volume;
    rounds++;
    const dirtied =
      workingSetMib > 0
        ? workingSetMib * -expm1((-dirtyMibS * (1 - throttle) * (before + roundSeconds)) / workingSetMib)
        : 0;
    before = 0;
    const next = dirtied < volumeMib ? dirtied : volumeMib;
    if (next <= downtimeLimitSeconds * bandwidthMibS) {
      volume = next;
      converged = true;
      break;
    }
    if (inputs.postcopy) {
      volume = next;
      converged = true;
      break;
    }
    if (inputs.autoConverge && next > DIRTIED_AGAIN_SHARE * volume && ++strikes >= 2) {
      strikes = 0;
      throttle = throttle === 0 ? FIRST_THROTTLE : min(MOST_THROTTLE, throttle + THROTTLE_STEP);
    }
    volume = next;
    if (sent > MOST_MEMORY_COPIES * volumeMib) break;
  }
  const last = volume / bandwidthMibS;
  result.seconds = seconds + last;
  result.transferredMib = sent + volume;
  result.downtimeSeconds = inputs.postcopy ? min(last, POSTCOPY_DOWNTIME_SECONDS) : last;
  result.rounds = rounds + 1;
  result.bandwidthMibS = bandwidthMibS;
  result.converged = converged;
  return result;
}
