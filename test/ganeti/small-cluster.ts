import { FakeCluster, type FakeInstance, type FakeNode } from './fake-cluster.js';
import { SimulatedClock } from './simulated-clock.js';

export const fakeNode = (name: string, more: Partial<FakeNode> = {}): FakeNode => ({
  name,
  memory: 16_384,
  disk: 400_000,
  cpus: 8,
  offline: false,
  drained: false,
  tags: [],
  ...more,
});

export const fakeInstance = (
  name: string,
  primary: string,
  secondary?: string,
  more: Partial<FakeInstance> = {},
): FakeInstance => ({
  name,
  memory: 1024,
  disk: 6000,
  vcpus: 1,
  template: secondary === undefined ? 'sharedfile' : 'drbd',
  primary,
  secondary,
  isUp: true,
  autoBalance: true,
  tags: [],
  ...more,
});

/** Four nodes of which the first two hold everything: plenty to balance, by RAM alone and with disks. */
export function crookedCluster(clock = new SimulatedClock()): FakeCluster {
  const nodes = ['n1', 'n2', 'n3', 'n4'].map((name) => fakeNode(name));
  const instances = Array.from({ length: 8 }, (_, i) =>
    i % 2 === 0 ? fakeInstance(`web${i}`, 'n1', 'n2') : fakeInstance(`db${i}`, 'n2', undefined),
  );
  return new FakeCluster(clock, nodes, instances);
}
