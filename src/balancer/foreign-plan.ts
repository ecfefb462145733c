import { UserError } from '../domain/errors.js';
import { parseJson } from '../domain/json.js';
import { parsePlan } from '../domain/plan.js';
import { MIRROR_EXTERNAL, MIRROR_INTERNAL, type GroupModel } from './group-model.js';
import { commonSuffix } from './hbal-report.js';
import { kindBetween, moveFrom, type Move } from './moves.js';

/**
 * Plans made by someone else, as moves of a group: hbal's printed solution (`1. inst a:b => c:b 1.23 a=f r:c f`), its
 * `-C` commands, or a plan of our own in JSON. Everything else in the text is passed over.
 */

const SOLUTION_LINE = /^\s*\d+\.\s+(\S+)\s+(\S+)\s+=>\s+(\S+)\s+\S+\s+a=(.+)$/;
const COMMAND = /^\s*(?:sudo\s+)?gnt-instance\s+(migrate|failover|replace-disks)\s+(.+?)\s*$/;
const JOB_LINE = /^\s*echo\s+job\s/;

/**
 * The text's moves in their order, from the placement of `model` (left as it is). A move of an instance that stands where it
 * leads is passed over: it has been made.
 */
export function parseForeignPlan(text: string, model: GroupModel, file: string): Move[] {
  const names = new NodeAndInstanceNames(model, file);
  const json = text.trimStart().startsWith('{') ? parsePlan(parseJson(text, file), file).moves : undefined;
  const wanted =
    json?.map(({ instance, from, to }) => ({
      instance: names.instance(instance),
      from: names.pair(from.primary, from.secondary),
      to: names.pair(to.primary, to.secondary),
    })) ??
    solutionMoves(text, names) ??
    commandMoves(text, model, names);
  if (wanted === undefined)
    throw new UserError(
      'input-invalid',
      `${file}: holds no plan; hbal's solution lines, its -C commands or a plan in JSON are understood`,
    );
  const after = model.copy();
  return wanted.flatMap(({ instance, from, to: [primary, secondary] }) => {
    const p = after.primary[instance]!;
    const s = after.secondary[instance]!;
    const shared = after.mirror[instance] === MIRROR_EXTERNAL;
    if (primary === p && (shared || secondary === s)) return []; // made already, or none
    const refuse = (fault: string): never => {
      throw new UserError('input-invalid', `${file}: ${fault}; is the plan for this cluster?`);
    };
    const { name } = model.instances[instance]!;
    if (from !== undefined && (from[0] !== p || (!shared && from[1] !== s)))
      refuse(`takes ${name} from ${names.placement(from)}, but it stands on ${names.placement([p, s])}`);
    const found = kindBetween(p, s, primary, secondary, shared);
    if (found === undefined)
      return refuse(
        `no single move takes ${name} from ${names.placement([p, s])} to ${names.placement([primary, secondary])}`,
      );
    const move = moveFrom(after, instance, found.kind, found.target);
    after.primary[instance] = move.toPrimary;
    after.secondary[instance] = move.toSecondary;
    return [move];
  });
}

/** Primary and secondary node, -1 none. */
type Pair = readonly [primary: number, secondary: number];

interface WantedMove {
  instance: number;
  /** Where the plan takes it from, if it says so. */
  from?: Pair;
  to: Pair;
}

function solutionMoves(text: string, names: NodeAndInstanceNames): WantedMove[] | undefined {
  const wanted: WantedMove[] = [];
  for (const line of text.split('\n')) {
    const match = SOLUTION_LINE.exec(line);
    if (match === null) continue;
    const pair = (nodes: string): Pair => {
      const [primary = '', secondary] = nodes.split(':');
      return names.pair(primary, secondary === '' ? undefined : secondary);
    };
    wanted.push({ instance: names.instance(match[1]!), from: pair(match[2]!), to: pair(match[3]!) });
  }
  return wanted.length === 0 ? undefined : wanted;
}

/**
 * Commands of one job, or in a row for one instance, are one move as long as there is such a move, with one new mirror
 * and not two migrations next to each other: the placement that they end in.
 */
function commandMoves(
  text: string,
  model: GroupModel,
  names: NodeAndInstanceNames,
): WantedMove[] | undefined {
  const wanted: WantedMove[] = [];
  const primary = model.primary.slice();
  const secondary = model.secondary.slice();
  let current = -1;
  let copied = false;
  let copiesLast = false;
  const close = (): void => {
    if (current >= 0) wanted.push({ instance: current, to: [primary[current]!, secondary[current]!] });
    current = -1;
    copied = false;
  };
  for (const line of text.split('\n')) {
    if (JOB_LINE.test(line)) close();
    const match = COMMAND.exec(line);
    if (match === null) continue;
    const verb = match[1]!;
    const words = wordsOf(match[2]!);
    const instance = names.instance(words.at(-1)!);
    const flag = words.findIndex(
      (word) => word === '-n' || word === '--target-node' || word === '--new-secondary',
    );
    const target = flag < 0 ? -1 : names.node(words[flag + 1]!);
    const replaces = verb === 'replace-disks';
    if (current >= 0 && (current !== instance || (replaces ? copied : !copiesLast))) close();
    current = instance;
    copied ||= replaces;
    copiesLast = replaces;
    const refuse = (fault: string): never => {
      throw new UserError('input-invalid', `${names.file}: ${verb} of ${words.at(-1)!} ${fault}`);
    };
    if (replaces) {
      if (target < 0) refuse('names no new node (-n): it moves nothing');
      secondary[instance] = target;
    } else if (target >= 0) {
      if (model.mirror[instance] === MIRROR_INTERNAL)
        refuse('names a node (-n), but a mirrored instance can only go to its second one');
      primary[instance] = target;
    } else if (secondary[instance]! >= 0)
      [primary[instance], secondary[instance]] = [secondary[instance]!, primary[instance]!];
    else refuse('names no node (-n), and the instance has no second one');
  }
  close();
  return wanted.length === 0 ? undefined : wanted;
}

/** Words of a command; such as `shellWord` writes are taken out of their quotes. */
const wordsOf = (text: string): string[] =>
  (text.match(/'[^']*'|\S+/g) ?? []).map((word) => word.replace(/^'(.*)'$/, '$1'));

/** Names as hbal prints them, with or without their common suffix → numbers of the model. */
class NodeAndInstanceNames {
  readonly #nodes = new Map<string, number>();
  readonly #instances = new Map<string, number>();
  readonly file: string;
  readonly #model: GroupModel;

  constructor(model: GroupModel, file: string) {
    this.file = file;
    this.#model = model;
    const all = [...model.cluster.nodes, ...model.cluster.instances].map(({ name }) => name);
    const suffix = commonSuffix(all);
    const short = (name: string): string =>
      suffix !== '' && name.endsWith(suffix) ? name.slice(0, name.length - suffix.length) : name;
    model.nodes.forEach(({ name }, k) => this.#nodes.set(short(name), k).set(name, k));
    model.instances.forEach(({ name }, i) => this.#instances.set(short(name), i).set(name, i));
  }

  node(name: string): number {
    return this.#nodes.get(name) ?? this.#unknown('node', name);
  }

  pair(primary: string, secondary?: string): Pair {
    return [this.node(primary), secondary === undefined ? -1 : this.node(secondary)];
  }

  /** A pair as hbal writes it, with full names. */
  placement(nodes: Pair): string {
    return nodes
      .filter((k) => k >= 0)
      .map((k) => this.#model.nodes[k]?.name ?? 'a node of another group')
      .join(':');
  }

  instance(name: string): number {
    return this.#instances.get(name) ?? this.#unknown('instance', name);
  }

  #unknown(kind: string, name: string): never {
    throw new UserError(
      'input-invalid',
      `${this.file}: names ${kind} ${name}, which the cluster's group does not have; is the plan for this cluster?`,
    );
  }
}
