import {
  COUNTS_CPU,
  F_DSK,
  F_DSK_FORTH,
  F_MEM_FORTH,
  F_SPIN,
  F_SPIN_FORTH,
  FAILS_N1,
  FORTHCOMING,
  I_SPIN,
  I_SPIN_FORTH,
  LOAD_CPU,
  LOAD_DSK,
  LOCAL_DISK,
  LOCATION_SCORE,
  MIRROR_INTERNAL,
  PRIMARIES,
  R_MEM,
  RESERVES,
  ROW,
  SECONDARIES,
  TAG_SCORE,
  U_CPU,
  U_CPU_FORTH,
  U_MEM,
  USES_MEMORY,
  type GroupModel,
} from './group-model.js';
import {
  FAILOVER,
  FAILOVER_AND_REPLACE,
  FAILOVER_TO_ANY,
  REPLACE_AND_FAILOVER,
  REPLACE_PRIMARY,
  REPLACE_SECONDARY,
  moveFrom,
  primaryAfter,
  secondaryAfter,
  type Move,
  type MoveKind,
} from './moves.js';
import { METRIC_COUNT, nodeMetrics, pairExcess, type NodeChanges, type ScoreBoard } from './score.js';

/**
 * Tries a move on copies of the rows that it touches: may it be made, and what would the score be? The checks and
 * their order of operations are hbal's: a move is built from taking an instance off a node and adding it to one, as
 * primary or secondary, and the first check that fails drops it.
 */

const HERE = 0; // the row of the old primary
const THERE = 1; // of the old secondary
const TARGET = 2; // of the target
const TEMPORARY = 3; // of a node that only runs the instance for a moment, or of a new secondary

export class MoveTrial {
  readonly model: GroupModel;
  readonly board: ScoreBoard;
  readonly #ignoreSoftErrors: boolean;
  /** Row copies: what the move makes of the old primary, old secondary and target; and a scratch row. */
  readonly #rows = new Float64Array(4 * ROW);
  /** The old primary and, where mirrored, secondary without the instance, the same for all its candidates. */
  readonly rowsWithout = new Float64Array(2 * ROW);
  readonly #metrics = new Float64Array(4 * METRIC_COUNT);
  readonly #touched = new Int32Array(4);
  readonly #touchedRows = new Int32Array(4);
  #touchedCount = 0;
  #instance = -1;
  #p = -1;
  #s = -1;
  #need = 0;
  #location = 0;
  #kind: MoveKind = FAILOVER;
  #target = -1;
  #toPrimary = -1;
  #toSecondary = -1;
  /** False while a move is made although a check fails. */
  #checked = true;

  constructor(board: ScoreBoard, { ignoreSoftErrors = false }: { ignoreSoftErrors?: boolean } = {}) {
    this.model = board.model;
    this.board = board;
    this.#ignoreSoftErrors = ignoreSoftErrors;
  }

  /** Takes an instance up: its nodes without it. Call again after every move made. O(nodes) at worst. */
  begin(instance: number): void {
    const { model } = this;
    this.#instance = instance;
    const p = model.primary[instance]!;
    const s = model.secondary[instance]!;
    this.#p = p;
    this.#s = s;
    this.#need = model.has(instance, RESERVES) ? model.memory[instance]! : 0;
    copyRow(model.rows, p * ROW, this.rowsWithout, HERE * ROW);
    this.#removePrimary(this.rowsWithout, HERE * ROW, p);
    if (s >= 0 && s < model.nodeCount && model.mirror[instance] === MIRROR_INTERNAL) {
      copyRow(model.rows, s * ROW, this.rowsWithout, THERE * ROW);
      this.#removeSecondary(this.rowsWithout, THERE * ROW, s, p);
    }
  }

  /** True when the instance that was taken up may make this move. `target` is -1 for a failover. */
  allows(kind: MoveKind, target: number): boolean {
    const { model } = this;
    const p = this.#p;
    const s = this.#s;
    const rows = this.#rows;
    const ignore = this.#ignoreSoftErrors;
    const forcePrimary = ignore || model.online[p] === 0;
    this.#kind = kind;
    this.#target = target;
    this.#touchedCount = 0;
    this.#toPrimary = primaryAfter(kind, p, s, target);
    this.#toSecondary = secondaryAfter(kind, p, s, target);
    this.#locate();

    if (kind === FAILOVER) {
      if (!this.#mayMigrate(p, s)) return false;
      this.#takeWithout(HERE, p);
      this.#takeWithout(THERE, s);
      return (
        this.#addPrimary(rows, THERE * ROW, s, forcePrimary) &&
        this.#addSecondary(rows, HERE * ROW, p, s, forcePrimary, model.online[p] === 0)
      );
    }
    if (kind === FAILOVER_TO_ANY) {
      if (!this.#mayMigrate(p, target)) return false;
      this.#takeWithout(HERE, p);
      this.#takeWhole(TARGET, target);
      return this.#addPrimary(rows, TARGET * ROW, target, forcePrimary);
    }
    const forceSecondary = ignore || s >= model.nodeCount || model.online[s] === 0;
    this.#takeWithout(HERE, p);
    this.#takeWithout(THERE, s);
    this.#takeWhole(TARGET, target);
    switch (kind) {
      case REPLACE_SECONDARY:
        return (
          this.#addSecondary(rows, TARGET * ROW, target, p, forceSecondary, false) &&
          this.#addPrimary(rows, HERE * ROW, p, true)
        );
      case REPLACE_AND_FAILOVER:
        return (
          this.#mayMigrate(p, target) &&
          this.#addPrimary(rows, TARGET * ROW, target, ignore) &&
          this.#addSecondary(rows, HERE * ROW, p, target, forceSecondary, false)
        );
      case FAILOVER_AND_REPLACE:
        return (
          this.#mayMigrate(p, s) &&
          this.#addPrimary(rows, THERE * ROW, s, forcePrimary) &&
          this.#addSecondary(rows, TARGET * ROW, target, s, forcePrimary, false)
        );
      case REPLACE_PRIMARY:
        if (!this.#mayMigrate(p, s) || !this.#mayMigrate(s, target)) return false;
        copyRow(rows, THERE * ROW, rows, TEMPORARY * ROW);
        this.#passLoads(rows, THERE * ROW);
        return (
          this.#addPrimary(rows, TEMPORARY * ROW, s, forcePrimary) &&
          this.#addPrimary(rows, TARGET * ROW, target, forcePrimary) &&
          this.#addSecondary(rows, THERE * ROW, s, target, forcePrimary, false)
        );
    }
  }

  /**
   * True when the instance that was taken up may stand on these nodes (`secondary` -1: none), however it gets there:
   * all checks, none forced, but those of a node where it stays as it was and that is known to have got nothing new
   * (`keepsPrimary`, `keepsSecondary`). The score can then be asked for, and `settle` puts it there.
   */
  allowsPlacement(primary: number, secondary: number, keepsPrimary = false, keepsSecondary = false): boolean {
    const { model } = this;
    const p = this.#p;
    const s = this.#s;
    const rows = this.#rows;
    const mirrored = model.mirror[this.#instance] === MIRROR_INTERNAL;
    this.#toPrimary = primary;
    this.#toSecondary = secondary;
    this.#touchedCount = 0;
    this.#locate();
    this.#takeWithout(HERE, p);
    if (mirrored) this.#takeWithout(THERE, s);
    const primarySlot = primary === p ? HERE : mirrored && primary === s ? THERE : TARGET;
    if (primarySlot === TARGET) this.#takeWhole(TARGET, primary);
    this.#checked = !keepsPrimary;
    let fits = this.#addPrimary(rows, primarySlot * ROW, primary, false);
    if (fits && mirrored) {
      const secondarySlot = secondary === p ? HERE : secondary === s ? THERE : TEMPORARY;
      if (secondarySlot === TEMPORARY) this.#takeWhole(TEMPORARY, secondary);
      this.#checked = !keepsSecondary;
      fits = this.#addSecondary(rows, secondarySlot * ROW, secondary, primary, false, false);
    }
    this.#checked = true;
    return fits;
  }

  /**
   * For a placement that leaves some nodes as they were loaded: those with no `touches` keep the N+1 flag of the load,
   * which has a rule of its own. Call before `measure`.
   */
  keepLoadedFlags(touches: Int32Array, loadedFlags: Uint8Array): void {
    for (let t = 0; t < this.#touchedCount; t++) {
      const node = this.#touched[t]!;
      if (touches[node] === 0) this.#rows[this.#touchedRows[t]! + FAILS_N1] = loadedFlags[node]!;
    }
  }

  #locate(): void {
    const { model } = this;
    this.#location = model.hasLocations
      ? model.locationScoreAt(this.#instance, this.#toPrimary, this.#toSecondary)
      : 0;
  }

  /** Makes the rows of a move whatever the checks say, for a plan that someone else made. True when all would hold. */
  insist(kind: MoveKind, target: number): boolean {
    if (this.allows(kind, target)) return true;
    this.#checked = false;
    this.allows(kind, target);
    this.#checked = true;
    return false;
  }

  /**
   * The score after the move last allowed, to about 1e-10 of it, or Infinity if it is above `limit`. O(1).
   */
  approximateScore(limit = Infinity): number {
    this.measure();
    return this.board.approximateWith(
      this.#touched,
      this.#touchedCount,
      this.#metrics,
      this.#pairChange(),
      limit,
    );
  }

  /** The same as hbal computes it, to the last bit. O(nodes). */
  exactScore(): number {
    this.measure();
    return this.board.exactWith(this.#touched, this.#touchedCount, this.#metrics, this.#pairChange());
  }

  /** Makes the move last allowed: model and board change. O(nodes). */
  commit(): Move {
    const move = moveFrom(this.model, this.#instance, this.#kind, this.#target);
    this.#settleModel();
    for (let t = 0; t < this.#touchedCount; t++) this.board.takeNode(this.#touched[t]!);
    this.board.refresh();
    return move;
  }

  /**
   * The same without the exact score: the board's sums are shifted. O(1). `measure` or a score must have been asked for
   * before.
   */
  settle(): void {
    const pairChange = this.#pairChange();
    this.#settleModel();
    this.board.shift(this.#touched, this.#touchedCount, this.#metrics, pairChange);
  }

  /**
   * Adds what the rows made last are worth to changes that are weighed together, in place of what they say about the
   * same nodes. Model and board stay. O(1).
   */
  measureInto(changes: NodeChanges): void {
    for (let t = 0; t < this.#touchedCount; t++) {
      const at = changes.slotOf(this.#touched[t]!) * METRIC_COUNT;
      nodeMetrics(this.model, this.#touched[t]!, this.#rows, this.#touchedRows[t]!, changes.metrics, at);
    }
    changes.pairChange += this.#pairChange();
  }

  /** Makes the change last allowed in the model alone; the board is for the caller to shift. O(1). */
  place(undo: UndoRecord): void {
    const { model } = this;
    undo.instance = this.#instance;
    undo.primary = this.#p;
    undo.secondary = this.#s;
    undo.location = model.locationScore[this.#instance]!;
    undo.count = this.#touchedCount;
    for (let t = 0; t < this.#touchedCount; t++) {
      undo.nodes[t] = this.#touched[t]!;
      copyRow(model.rows, this.#touched[t]! * ROW, undo.rows, t * ROW);
    }
    this.#settleModel();
  }

  /** Takes the last change placed with this record back: the model's figures are the same to the last bit. O(1). */
  takeBack(undo: UndoRecord): void {
    const { model } = this;
    const { instance, count, nodes, rows } = undo;
    this.#instance = instance;
    this.#p = model.primary[instance]!;
    this.#s = model.secondary[instance]!;
    this.#need = model.has(instance, RESERVES) ? model.memory[instance]! : 0;
    this.#toPrimary = undo.primary;
    this.#toSecondary = undo.secondary;
    this.#location = undo.location;
    this.#touchedCount = count;
    for (let t = 0; t < count; t++) {
      this.#touched[t] = nodes[t]!;
      this.#touchedRows[t] = t * ROW;
      copyRow(rows, t * ROW, this.#rows, t * ROW);
    }
    this.#settleModel();
  }

  #settleModel(): void {
    const { model } = this;
    const i = this.#instance;
    const fromPrimary = this.#p;
    const fromSecondary = this.#s;
    const toPrimary = this.#toPrimary;
    const toSecondary = this.#toSecondary;
    for (let t = 0; t < this.#touchedCount; t++)
      copyRow(this.#rows, this.#touchedRows[t]!, model.rows, this.#touched[t]! * ROW);
    const columns = model.peerColumns;
    if (!model.has(i, FORTHCOMING) && model.mirror[i] === MIRROR_INTERNAL) {
      if (fromSecondary >= 0 && fromSecondary < model.nodeCount)
        model.peers[fromSecondary * columns + fromPrimary]! -= this.#need;
      if (toSecondary >= 0) model.peers[toSecondary * columns + toPrimary]! += this.#need;
    }
    if (fromPrimary !== toPrimary) {
      const tags = model.exclusionTags[i]!;
      for (let t = 0; t < tags.length; t++) {
        model.tagCounts[fromPrimary * model.exclusionTagCount + tags[t]!]! -= model.exclusionTimes[i]![t]!;
        model.tagCounts[toPrimary * model.exclusionTagCount + tags[t]!]! += model.exclusionTimes[i]![t]!;
      }
      if (model.pairCounts.length > 0 && !model.has(i, FORTHCOMING)) {
        if (model.online[fromPrimary] === 1) model.countPairs(i, fromPrimary, -1);
        if (model.online[toPrimary] === 1) model.countPairs(i, toPrimary, 1);
      }
    }
    model.primary[i] = toPrimary;
    model.secondary[i] = toSecondary;
    model.locationScore[i] = this.#location;
  }

  /** What the rows made last are worth to each component; `settle` needs it. */
  measure(): void {
    for (let t = 0; t < this.#touchedCount; t++)
      nodeMetrics(
        this.model,
        this.#touched[t]!,
        this.#rows,
        this.#touchedRows[t]!,
        this.#metrics,
        t * METRIC_COUNT,
      );
  }

  #pairChange(): number {
    const { model } = this;
    const i = this.#instance;
    if (model.pairCounts.length === 0 || model.has(i, FORTHCOMING)) return 0;
    const toPrimary = this.#toPrimary;
    if (toPrimary === this.#p) return 0;
    const before = pairExcess(model.pairCounts);
    if (model.online[this.#p] === 1) model.countPairs(i, this.#p, -1);
    if (model.online[toPrimary] === 1) model.countPairs(i, toPrimary, 1);
    const after = pairExcess(model.pairCounts);
    if (model.online[this.#p] === 1) model.countPairs(i, this.#p, 1);
    if (model.online[toPrimary] === 1) model.countPairs(i, toPrimary, -1);
    return after - before;
  }

  #takeWithout(slot: 0 | 1, node: number): void {
    if (node >= this.model.nodeCount) return;
    copyRow(this.rowsWithout, slot * ROW, this.#rows, slot * ROW);
    this.#touch(node, slot);
  }

  #takeWhole(slot: 2 | 3, node: number): void {
    copyRow(this.model.rows, node * ROW, this.#rows, slot * ROW);
    this.#touch(node, slot);
  }

  #touch(node: number, slot: number): void {
    this.#touched[this.#touchedCount] = node;
    this.#touchedRows[this.#touchedCount] = slot * ROW;
    this.#touchedCount += 1;
  }

  #mayMigrate(from: number, to: number): boolean {
    const { migration, nodeCount } = this.model;
    return migration.length === 0 || migration[from * nodeCount + to] === 1 || !this.#checked;
  }

  /** The loads of an instance come and go, as hbal adds and takes them: what is left of it is rounding. */
  #passLoads(rows: Float64Array, at: number): void {
    const { loads } = this.model;
    for (let c = 0; c < 4; c++) {
      const load = loads[this.#instance * 4 + c]!;
      rows[at + LOAD_CPU + c] = rows[at + LOAD_CPU + c]! + load - load;
    }
  }

  #removePrimary(rows: Float64Array, at: number, node: number): void {
    const { model } = this;
    const i = this.#instance;
    const flags = model.flags[i]!;
    rows[at + F_MEM_FORTH]! += model.memory[i]!;
    if ((flags & COUNTS_CPU) !== 0) rows[at + U_CPU_FORTH]! -= model.vcpus[i]!;
    this.#takeTags(rows, at, node);
    this.#releaseDiskForth(rows, at, node);
    if ((flags & FORTHCOMING) !== 0) return;
    if ((flags & USES_MEMORY) !== 0) rows[at + U_MEM]! += model.memory[i]!;
    if ((flags & COUNTS_CPU) !== 0) rows[at + U_CPU]! -= model.vcpus[i]!;
    this.#releaseDisk(rows, at, node);
    for (let c = 0; c < 4; c++) rows[at + LOAD_CPU + c]! -= model.loads[i * 4 + c]!;
    rows[at + LOCATION_SCORE]! -= model.locationScore[i]!;
    rows[at + PRIMARIES]! -= 1;
    rows[at + FAILS_N1] = rows[at + U_MEM]! <= rows[at + R_MEM]! ? 1 : 0;
  }

  #removeSecondary(rows: Float64Array, at: number, node: number, peer: number): void {
    const { model } = this;
    const i = this.#instance;
    const flags = model.flags[i]!;
    this.#releaseDiskForth(rows, at, node);
    if ((flags & FORTHCOMING) !== 0) return;
    this.#releaseDisk(rows, at, node);
    rows[at + LOAD_DSK]! -= model.loads[i * 4 + 2]!;
    rows[at + SECONDARIES]! -= 1;
    const columns = model.peerColumns;
    const reserved = model.peers[node * columns + peer]!;
    if (this.#need > 0 && reserved >= rows[at + R_MEM]!) {
      let most = 0;
      for (let k = node * columns; k < (node + 1) * columns; k++)
        if (model.peers[k]! > most && k !== node * columns + peer) most = model.peers[k]!;
      rows[at + R_MEM] = Math.max(most, reserved - this.#need);
    }
    rows[at + FAILS_N1] = rows[at + U_MEM]! <= rows[at + R_MEM]! ? 1 : 0;
  }

  /** Puts the instance on a node as its primary, if the checks allow it. `force` leaves only the physical ones. */
  #addPrimary(rows: Float64Array, at: number, node: number, force: boolean): boolean {
    const { model } = this;
    const i = this.#instance;
    const flags = model.flags[i]!;
    if (this.#checked && !this.#primaryFits(rows, at, node, force)) return false;
    if ((flags & FORTHCOMING) === 0) {
      if ((flags & USES_MEMORY) !== 0) rows[at + U_MEM]! -= model.memory[i]!;
      if ((flags & COUNTS_CPU) !== 0) rows[at + U_CPU]! += model.vcpus[i]!;
      this.#takeDisk(rows, at, node);
      for (let c = 0; c < 4; c++) rows[at + LOAD_CPU + c]! += model.loads[i * 4 + c]!;
      rows[at + LOCATION_SCORE]! += this.#location;
      rows[at + PRIMARIES]! += 1;
      rows[at + FAILS_N1] = rows[at + U_MEM]! <= rows[at + R_MEM]! ? 1 : 0;
    }
    rows[at + F_MEM_FORTH]! -= model.memory[i]!;
    if ((flags & COUNTS_CPU) !== 0) rows[at + U_CPU_FORTH]! += model.vcpus[i]!;
    this.#takeDiskForth(rows, at, node);
    this.#addTags(rows, at, node);
    return true;
  }

  #primaryFits(rows: Float64Array, at: number, node: number, force: boolean): boolean {
    const { model } = this;
    const i = this.#instance;
    const flags = model.flags[i]!;
    const vcpus = (flags & COUNTS_CPU) !== 0 ? model.vcpus[i]! : 0;
    if ((flags & FORTHCOMING) === 0) {
      const memory = rows[at + U_MEM]! - ((flags & USES_MEMORY) !== 0 ? model.memory[i]! : 0);
      if (memory <= 0) return false;
      if ((flags & LOCAL_DISK) !== 0 && !this.#diskFits(rows, at, node, force, false)) return false;
      if (!force) {
        if (memory <= rows[at + R_MEM]! && rows[at + FAILS_N1] === 0) return false;
        if (this.#overCpuRatio(node, rows[at + U_CPU]! + vcpus)) return false;
        if (this.#tagsClash(node)) return false;
      }
    }
    if (force) return true;
    if (rows[at + F_MEM_FORTH]! - model.memory[i]! <= 0) return false;
    if ((flags & LOCAL_DISK) !== 0 && !this.#diskFitsForth(rows, at, node)) return false;
    return !this.#overCpuRatio(node, rows[at + U_CPU_FORTH]! + vcpus);
  }

  /** Puts the instance's mirror on a node, whose primary is `peer`, if the checks allow it. */
  #addSecondary(
    rows: Float64Array,
    at: number,
    node: number,
    peer: number,
    force: boolean,
    ignoreDisks: boolean,
  ): boolean {
    const { model } = this;
    const i = this.#instance;
    if (model.mirror[i] !== MIRROR_INTERNAL) return false;
    const forthcoming = model.has(i, FORTHCOMING);
    const reserved = Math.max(rows[at + R_MEM]!, model.peers[node * model.peerColumns + peer]! + this.#need);
    if (this.#checked) {
      if (!forthcoming) {
        if (!this.#diskFits(rows, at, node, force, ignoreDisks)) return false;
        if (!force) {
          if (this.#need >= rows[at + U_MEM]!) return false;
          if (rows[at + U_MEM]! <= reserved && rows[at + FAILS_N1] === 0) return false;
        }
      }
      if (!force) {
        if (!this.#diskFitsForth(rows, at, node)) return false;
        if (this.#need >= rows[at + F_MEM_FORTH]!) return false;
      }
    }
    if (!forthcoming) {
      this.#takeDisk(rows, at, node);
      rows[at + LOAD_DSK]! += model.loads[i * 4 + 2]!;
      rows[at + SECONDARIES]! += 1;
      rows[at + R_MEM] = reserved;
      rows[at + FAILS_N1] = rows[at + U_MEM]! <= reserved ? 1 : 0;
    }
    this.#takeDiskForth(rows, at, node);
    return true;
  }

  #overCpuRatio(node: number, cpus: number): boolean {
    const { vcpuRatio, totalCpu } = this.model;
    return vcpuRatio >= 0 && cpus / totalCpu[node]! > vcpuRatio;
  }

  #diskFits(rows: Float64Array, at: number, node: number, force: boolean, ignoreDisks: boolean): boolean {
    const { model } = this;
    const i = this.#instance;
    const free = rows[at + F_DSK]! - model.disk[i]!;
    if (free <= 0 && !ignoreDisks) return false;
    if (!force && free < model.lowDisk[node]!) return false;
    if (model.exclusive[node] === 1) return rows[at + F_SPIN]! - model.diskSpindles[i]! >= 0;
    return force || rows[at + I_SPIN]! + model.spindleUse[i]! <= model.highSpindles[node]!;
  }

  /** The same with forthcoming instances counted in. */
  #diskFitsForth(rows: Float64Array, at: number, node: number): boolean {
    const { model } = this;
    const i = this.#instance;
    const free = rows[at + F_DSK_FORTH]! - model.disk[i]!;
    if (free <= 0 || free < model.lowDisk[node]!) return false;
    if (model.exclusive[node] === 1) return rows[at + F_SPIN_FORTH]! - model.diskSpindles[i]! >= 0;
    return rows[at + I_SPIN_FORTH]! + model.spindleUse[i]! <= model.highSpindles[node]!;
  }

  /**
   * Disk, free spindles and spindle use of an instance that comes. With exclusive storage the spindles of every
   * primary count, whatever its template; one of unknown spindles leaves the node without any, as in hbal.
   */
  #takeDisk(rows: Float64Array, at: number, node: number): void {
    this.#takeFrom(rows, at + F_DSK, at + F_SPIN, at + I_SPIN, node);
  }

  #takeDiskForth(rows: Float64Array, at: number, node: number): void {
    this.#takeFrom(rows, at + F_DSK_FORTH, at + F_SPIN_FORTH, at + I_SPIN_FORTH, node);
  }

  #takeFrom(rows: Float64Array, diskAt: number, freeAt: number, usedAt: number, node: number): void {
    const { model } = this;
    const i = this.#instance;
    const local = model.has(i, LOCAL_DISK);
    if (local) rows[diskAt]! -= model.disk[i]!;
    if (model.exclusive[node] === 1) {
      const spindles = model.diskSpindles[i]!;
      rows[freeAt] = Number.isNaN(spindles) ? NO_SPINDLES : rows[freeAt]! - spindles;
    } else {
      rows[freeAt] = 0;
      if (local) rows[usedAt]! += model.spindleUse[i]!;
    }
  }

  #releaseDisk(rows: Float64Array, at: number, node: number): void {
    this.#releaseTo(rows, at + F_DSK, at + F_SPIN, at + I_SPIN, node);
  }

  #releaseDiskForth(rows: Float64Array, at: number, node: number): void {
    this.#releaseTo(rows, at + F_DSK_FORTH, at + F_SPIN_FORTH, at + I_SPIN_FORTH, node);
  }

  #releaseTo(rows: Float64Array, diskAt: number, freeAt: number, usedAt: number, node: number): void {
    const { model } = this;
    const i = this.#instance;
    const local = model.has(i, LOCAL_DISK);
    if (local) rows[diskAt]! += model.disk[i]!;
    if (model.exclusive[node] === 1) {
      const spindles = model.diskSpindles[i]!;
      if (!Number.isNaN(spindles)) rows[freeAt]! += spindles;
    } else {
      rows[freeAt] = 0;
      if (local) rows[usedAt]! -= model.spindleUse[i]!;
    }
  }

  /** Exclusion tags of the instance leave a node: each that others there have as well was one in excess. */
  #takeTags(rows: Float64Array, at: number, node: number): void {
    const { model } = this;
    const tags = model.exclusionTags[this.#instance]!;
    for (let t = 0; t < tags.length; t++) {
      const times = model.exclusionTimes[this.#instance]![t]!;
      const left = model.tagCounts[node * model.exclusionTagCount + tags[t]!]! - times;
      rows[at + TAG_SCORE]! -= left > 0 ? times : times - 1;
    }
  }

  #addTags(rows: Float64Array, at: number, node: number): void {
    const tags = this.model.exclusionTags[this.#instance]!;
    for (let t = 0; t < tags.length; t++) {
      const times = this.model.exclusionTimes[this.#instance]![t]!;
      rows[at + TAG_SCORE]! += this.#tagTimesElsewhere(node, t) > 0 ? times : times - 1;
    }
  }

  #tagsClash(node: number): boolean {
    const tags = this.model.exclusionTags[this.#instance]!;
    for (let t = 0; t < tags.length; t++) if (this.#tagTimesElsewhere(node, t) > 0) return true;
    return false;
  }

  /** How often a node's other primaries have the instance's t-th exclusion tag. */
  #tagTimesElsewhere(node: number, t: number): number {
    const { model } = this;
    const i = this.#instance;
    const all = model.tagCounts[node * model.exclusionTagCount + model.exclusionTags[i]![t]!]!;
    return node === this.#p ? all - model.exclusionTimes[i]![t]! : all;
  }
}

/** What a placed change replaced. */
export class UndoRecord {
  instance = -1;
  primary = -1;
  secondary = -1;
  location = 0;
  count = 0;
  readonly nodes = new Int32Array(4);
  readonly rows = new Float64Array(4 * ROW);
}

/** Free spindles of a node that took an instance of unknown spindles: no other fits. */
const NO_SPINDLES = -1;

/** A plain loop: for 20 numbers it is faster than `set` with a subarray, which allocates. */
function copyRow(from: Float64Array, fromAt: number, to: Float64Array, toAt: number): void {
  for (let f = 0; f < ROW; f++) to[toAt + f] = from[fromAt + f]!;
}
