import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Capability, inputsOfRequest, type MoveInputs } from '../../src/predictor/move-inputs.js';
import {
  movePhysics,
  newPhysicsResult,
  priorConstants,
  secondsWhenSent,
} from '../../src/predictor/move-physics.js';

const inputs = (changes: Partial<MoveInputs> = {}): MoveInputs => ({
  ...inputsOfRequest({ instance: 'vm', source_node: 'a', target_node: 'b' }, 0),
  memoryMib: 8192,
  usedMemoryMib: 6000,
  dirtyMibS: 10,
  linkMbps: 1000,
  ...changes,
});
const constants = priorConstants();
const seconds = (changes: Partial<MoveInputs>): number =>
  movePhysics(inputs(changes), constants, newPhysicsResult()).seconds;

describe('physics of a move', () => {
  it('says of a move that sent what was expected just what it expected', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 64, max: 1e6 }),
        fc.integer({ min: 0, max: 200 }),
        (usedMemoryMib, dirty) => {
          const result = movePhysics(
            inputs({ usedMemoryMib, dirtyMibS: dirty }),
            constants,
            newPhysicsResult(),
          );
          expect(secondsWhenSent(result, result.transferredMib)).toBeCloseTo(result.seconds, 9);
        },
      ),
    );
  });

  it('takes off a move that sent less just the time that the rest would have taken', () => {
    const result = movePhysics(inputs(), constants, newPhysicsResult());
    const less = secondsWhenSent(result, result.transferredMib - 1000);
    expect(result.seconds - less).toBeCloseTo(1000 / result.bandwidthMibS, 9);
  });

  it('lets traffic at the target slow a move down as well as that at the source', () => {
    const quiet = seconds({ backgroundMbps: 0, targetBackgroundMbps: 0 });
    const atTarget = seconds({ backgroundMbps: 0, targetBackgroundMbps: 400 });
    const atBoth = seconds({ backgroundMbps: 400, targetBackgroundMbps: 400 });
    expect(atTarget).toBeGreaterThan(quiet);
    expect(atBoth).toBeGreaterThan(atTarget);
    expect(seconds({ backgroundMbps: 400 })).toBe(atBoth);
  });

  it('lets the slower of two nodes decide, and neither where the link is slower', () => {
    const fast = seconds({ linkMbps: 100_000 });
    const slowSource = seconds({ linkMbps: 100_000, sourceSpeed: -1 });
    expect(slowSource).toBeGreaterThan(1.5 * fast);
    expect(seconds({ linkMbps: 100_000, targetSpeed: -1 })).toBe(slowSource);
    expect(seconds({ linkMbps: 100_000, sourceSpeed: 0, targetSpeed: 0 })).toBe(fast);
    expect(seconds({ linkMbps: 100, sourceSpeed: -1 }) / seconds({ linkMbps: 100 })).toBeLessThan(1.02);
  });

  it('tells how far each node limits the stream: the derivative of its rate by the logarithm of the speed', () => {
    const rate = (changes: Partial<MoveInputs>): number =>
      Math.log(movePhysics(inputs(changes), constants, newPhysicsResult()).bandwidthMibS);
    fc.assert(
      fc.property(
        fc.integer({ min: 100, max: 20_000 }),
        fc.double({ min: -1, max: 1, noNaN: true }),
        fc.double({ min: -1, max: 1, noNaN: true }),
        fc.constantFrom(NaN, 50, 500),
        (linkMbps, sourceSpeed, targetSpeed, capMibS) => {
          const at = { linkMbps, sourceSpeed, targetSpeed, capMibS };
          const result = movePhysics(inputs(at), constants, newPhysicsResult());
          const step = 1e-5;
          expect(result.sourceLimits).toBeCloseTo(
            (rate({ ...at, sourceSpeed: sourceSpeed + step }) - rate(at)) / step,
            3,
          );
          expect(result.targetLimits).toBeCloseTo(
            (rate({ ...at, targetSpeed: targetSpeed + step }) - rate(at)) / step,
            3,
          );
        },
      ),
    );
    const failover = movePhysics(inputs({ operation: 'failover' }), constants, newPhysicsResult());
    expect([failover.sourceLimits, failover.targetLimits]).toEqual([0, 0]);
  });

  it('goes by the moves that are likely to run beside it, where history knows', () => {
    const alone = seconds({ concurrentMoves: 0, besideMoves: 0 });
    expect(seconds({ concurrentMoves: 0 })).toBe(alone);
    expect(seconds({ concurrentMoves: 0, besideMoves: 0.6 })).toBeGreaterThan(alone);
    expect(seconds({ concurrentMoves: 0, besideMoves: 1 })).toBe(seconds({ concurrentMoves: 1 }));
  });

  it('reads traffic at the target from the label of a request', () => {
    const request = { instance: 'vm', source_node: 'a', target_node: 'b' };
    const of = (value: string | number): number =>
      inputsOfRequest({ ...request, labels: { target_background_mbps: value } }, 0).targetBackgroundMbps;
    expect(of(120)).toBe(120);
    expect(of(-1)).toBeNaN();
    expect(of('much')).toBeNaN();
  });

  const among = (...capabilities: number[]): number => capabilities.reduce((bits, bit) => bits | bit, 0);

  it('saves by xbzrle only what is sent again, and only as far as its cache reaches', () => {
    const xbzrle = { capabilities: among(Capability.xbzrle) };
    expect(seconds({ ...xbzrle, dirtyMibS: 0 })).toBe(seconds({ dirtyMibS: 0 }));
    const saved = (usedMemoryMib: number): number =>
      1 - seconds({ ...xbzrle, usedMemoryMib, dirtyMibS: 40 }) / seconds({ usedMemoryMib, dirtyMibS: 40 });
    expect(saved(300)).toBeGreaterThan(saved(6000));
    expect(saved(6000)).toBeGreaterThan(0);
  });

  it('sends less with compression: faster on a slow link, slower where the processors hold it up', () => {
    const compress = { capabilities: among(Capability.compress) };
    const result = movePhysics(inputs({ ...compress, dirtyMibS: 0 }), constants, newPhysicsResult());
    const plain = movePhysics(inputs({ dirtyMibS: 0 }), constants, newPhysicsResult());
    expect(result.transferredMib / plain.transferredMib).toBeCloseTo(constants.compressedShare, 9);
    expect(seconds({ ...compress, linkMbps: 100 })).toBeLessThan(seconds({ linkMbps: 100 }));
    expect(seconds({ ...compress, linkMbps: 1e5 })).toBeGreaterThan(seconds({ linkMbps: 1e5 }));
  });

  it('gains nothing from multifd with a single channel, and no more than its channels allow', () => {
    const over = (channels: number): number =>
      seconds({ capabilities: among(Capability.multifd), channels, linkMbps: 1e5 });
    expect(over(1)).toBe(seconds({ linkMbps: 1e5 }));
    expect(over(2)).toBeLessThan(over(1));
    expect(over(NaN)).toBe(over(2));
  });

  describe('of disks and failovers', () => {
    // Of a link of 419.4304 Mbit/s = 50 MiB/s or twice that, 80 % carry payload: 40 or 80 MiB/s.
    const worked = { ...constants, linkShare: 0.8, diskMibS: 60, diskSetupSeconds: 3, failoverSeconds: 30 };
    const slowLink = 419.4304;
    const fastLink = 2 * slowLink;
    const of = (changes: Partial<MoveInputs>) => movePhysics(inputs(changes), worked, newPhysicsResult());

    it('takes for a failover what shutting down and starting take, and the time of its disk where it has one', () => {
      const failover = { operation: 'failover', linkMbps: fastLink } as const;
      expect(of(failover).seconds).toBeCloseTo(30, 9);
      const withDisk = of({ ...failover, diskMib: 2400 });
      expect(withDisk.seconds).toBeCloseTo(30 + 2400 / 60, 9);
      expect(withDisk.downtimeSeconds).toBe(withDisk.seconds);
      expect(withDisk.transferredMib).toBe(2400);
      expect(of({ ...failover, linkMbps: slowLink, diskMib: 2400 }).seconds).toBeCloseTo(30 + 2400 / 40, 9);
    });

    it('replicates a disk after the set-up at the rate of disks or of the link, whichever is less', () => {
      const replication = { operation: 'disk_replication', diskMib: 2400 } as const;
      const result = of({ ...replication, linkMbps: fastLink });
      expect(result.seconds).toBeCloseTo(3 + 2400 / 60, 9);
      expect([result.transferredMib, result.downtimeSeconds]).toEqual([2400, 0]);
      expect(of({ ...replication, linkMbps: slowLink }).seconds).toBeCloseTo(3 + 2400 / 40, 9);
    });

    it('adds the time of a disk that is copied along with a live migration', () => {
      for (const [linkMbps, rateMibS] of [
        [fastLink, 60],
        [slowLink, 40],
      ] as const) {
        const alone = of({ linkMbps });
        const withDisk = of({ linkMbps, diskMib: 2400 });
        expect(withDisk.seconds - alone.seconds).toBeCloseTo(2400 / rateMibS, 9);
        expect(withDisk.transferredMib - alone.transferredMib).toBeCloseTo(2400, 9);
        expect(withDisk.downtimeSeconds).toBe(alone.downtimeSeconds);
      }
    });
  });
});
