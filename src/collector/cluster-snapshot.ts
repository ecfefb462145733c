import type { ClusterLedger, LedgerEntry } from './cluster-ledger.js';

/**
 * Notes what a cluster snapshot says of its instances as of a moment: Ganeti's htools text (`hscan`, `hbal -S`), or the
 * reply of RAPI's `/2/instances?bulk=1`. Returns how many instances it told; 0 when it is neither. O(instances).
 */
export function noteSnapshot(ledger: ClusterLedger, text: string, atMs: number): number {
  const trimmed = text.trimStart();
  if (trimmed.startsWith('[') || trimmed.startsWith('{')) {
    let value: unknown;
    try {
      value = JSON.parse(trimmed);
    } catch {
      return 0;
    }
    return noteInstances(ledger, value, atMs);
  }
  return noteHtools(ledger, text, atMs);
}

/** RAPI's list of instances. */
export function noteInstances(ledger: ClusterLedger, value: unknown, atMs: number): number {
  if (!Array.isArray(value)) return 0;
  let count = 0;
  for (const item of value as unknown[]) {
    if (typeof item !== 'object' || item === null) continue;
    const row = item as Record<string, unknown>;
    const name = row['name'];
    if (typeof name !== 'string' || name === '' || !('pnode' in row)) continue;
    const be = (
      typeof row['beparams'] === 'object' && row['beparams'] !== null ? row['beparams'] : {}
    ) as Record<string, unknown>;
    const entry: LedgerEntry = { at_ms: atMs };
    const memory = positive(row['oper_ram']) ?? positive(be['memory']) ?? positive(be['maxmem']);
    if (memory !== undefined) entry.memory_mib = memory;
    const vcpus = positive(be['vcpus']);
    if (vcpus !== undefined) entry.vcpus = vcpus;
    if (Array.isArray(row['disk.sizes']))
      entry.disk_mib = row['disk.sizes'].reduce(
        (sum: number, size: unknown) => sum + (positive(size) ?? 0),
        0,
      );
    if (typeof row['disk_template'] === 'string') entry.disk_template = row['disk_template'];
    if (typeof row['pnode'] === 'string') entry.primary_node = row['pnode'];
    const secondary: unknown = Array.isArray(row['snodes']) ? row['snodes'][0] : undefined;
    if (typeof secondary === 'string') entry.secondary_node = secondary;
    ledger.note(name, entry);
    count += 1;
  }
  return count;
}

/** Section 3 of the htools text: name|memory|disk|vcpus|status|auto_balance|primary|secondary|template|… */
function noteHtools(ledger: ClusterLedger, text: string, atMs: number): number {
  const sections = text.split('\n\n');
  if (sections.length < 4) return 0;
  let count = 0;
  for (const line of sections[2]!.split('\n')) {
    const cells = line.split('|');
    if (cells.length < 9 || cells[0] === '') continue;
    const entry: LedgerEntry = { at_ms: atMs, disk_template: cells[8]! };
    const [memory, disk, vcpus] = [cells[1], cells[2], cells[3]].map(Number);
    if (memory! > 0) entry.memory_mib = memory!;
    if (disk! >= 0) entry.disk_mib = disk!;
    if (vcpus! > 0) entry.vcpus = vcpus!;
    if (cells[6] !== '') entry.primary_node = cells[6]!;
    if (cells[7] !== '') entry.secondary_node = cells[7]!;
    ledger.note(cells[0]!, entry);
    count += 1;
  }
  return count;
}

const positive = (value: unknown): number | undefined =>
  typeof value === 'number' && Number.isFinite(value) && value > 0 ? value : undefined;
