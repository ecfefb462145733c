import { mbpsToMibPerSecond } from '../../src/domain/units.js';
import type { MoveInputs } from '../../src/predictor/move-inputs.js';
import { DEFAULT_LINK_MBPS, DEFAULT_MEMORY_MIB } from '../../src/predictor/move-physics.js';
import { forecasterOf, type Candidate } from '../forecaster.js';

/** Memory and disk ÷ nominal bandwidth: the estimate on the back of an envelope. */
export const bytesOverBandwidth: Candidate = {
  name: 'bytes-over-bandwidth',
  kind: 'naive',
  summary: 'memory and disk ÷ bandwidth',
  fit: (history) => forecasterOf({ seconds: envelopeSeconds, learn: () => undefined }, history),
};

function envelopeSeconds(inputs: MoveInputs): number {
  const ramMib =
    inputs.operation === 'live_migration'
      ? inputs.memoryMib >= 0
        ? inputs.memoryMib
        : DEFAULT_MEMORY_MIB
      : 0;
  const diskMib = inputs.diskMib >= 0 ? inputs.diskMib : 0;
  let mibS = mbpsToMibPerSecond(inputs.linkMbps > 0 ? inputs.linkMbps : DEFAULT_LINK_MBPS);
  if (inputs.capMibS > 0) mibS = Math.min(mibS, inputs.capMibS);
  return (ramMib + diskMib) / mibS;
}
