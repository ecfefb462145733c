import { UserError } from '../domain/errors.js';
import { parseJson } from '../domain/json.js';
import { parsePlan } from '../domain/plan.js';
import { MIRROR_EXTERNAL, type GroupModel } from './group-model.js';
import { commonSuffix } from './hbal-report.js';
import { kindBetween, moveFrom, type Move } from './moves.js';

/**
 * Plans made by someone else, as moves of a group: hbal's printed solution (`1. inst a:b => c:b 1.23 a=f r:c f`), its
 * `-C` commands, or a plan of our own in JSON. Everything else in the text is passed over.
 */

const SOLUTION_LINE = /^\s*\d+\.\s+(\S+)\s+(\S+)\s+=>\s+(\S+)\s+\S+\s+a=(.+)$/;
const COMMAND = /^\s*(?:sudo\s+)?gnt-instance\s+(migrate|failover|replace-disks)\s+(.+?)\s*$/;
const JOB_LINE = /^\s*echo\s+job\s/;

/** The text's moves in their order, from the placement of `model` (left as it is). */
export function parseForeignPlan(text: string, model: GroupModel, file: string): Move[] {
  const names = new NodeAndInstanceNames(model, file);
  const json = text.trimStart().startsWith('{') ? parsePlan(parseJson(text, file), file).moves : undefined;
  const wanted =
    json?.map(({ instance, to }) => ({
      instance: names.instance(instance),
      primary: names.node(to.primary),
      secondary: to.secondary === undefined ? -1 : names.node(to.secondary),
    })) ??
    solutionPlacements(text, names) ??
    commandPlacements(text, model, names);
  if (wanted === undefined)
    throw new UserError(
      'input-invalid',
      `${file}: holds no plan; hbal's solution lines, its -C commands or a plan in JSON are understood`,
    );
  const after = model.copy();
  return wanted.flatMap(({ instance, primary, secondary }) => {
    const p = after.primary[instance]!;
    const s = after.secondary[instance]!;
    const shared = after.mirror[instance] === MIRROR_EXTERNAL;
    if (primary === p && (shared || secondary === s)) return [];
    const found = kindBetween(p, s, primary, secondary, shared);
    if (found === undefined)
      throw new UserError(
        'input-invalid',
        `${file}: no single move takes ${model.instances[instance]!.name} from where it stands to ` +
          `${model.nodes[primary]!.name}${secondary < 0 ? '' : `:${model.nodes[secondary]!.name}`}; is the plan for this cluster?`,
      );
    const move = moveFrom(after, instance, found.kind, found.target);
    after.primary[instance] = move.toPrimary;
    after.secondary[instance] = move.toSecondary;
    return [move];
  });
}

interface Placement {
  instance: number;
  primary: number;
  secondary: number;
}

function solutionPlacements(text: string, names: NodeAndInstanceNames): Placement[] | undefined {
  const placements: Placement[] = [];
  for (const line of text.split('\n')) {
    const match = SOLUTION_LINE.exec(line);
    if (match === null) continue;
    const [primary = '', secondary] = match[3]!.split(':');
    placements.push({
      instance: names.instance(match[1]!),
      primary: names.node(primary),
      secondary: secondary === undefined || secondary === '' ? -1 : names.node(secondary),
    });
  }
  return placements.length === 0 ? undefined : placements;
}

/**
 * Commands of one job, or in a row for one instance, are one move as long as there is such a move, with one new mirror
 * and not two migrations next to each other: the placement that they end in.
 */
function commandPlacements(
  text: string,
  model: GroupModel,
  names: NodeAndInstanceNames,
): Placement[] | undefined {
  const placements: Placement[] = [];
  const primary = model.primary.slice();
  const secondary = model.secondary.slice();
  let current = -1;
  let copied = false;
  let copiesLast = false;
  const close = (): void => {
    if (current >= 0)
      placements.push({ instance: current, primary: primary[current]!, secondary: secondary[current]! });
    current = -1;
    copied = false;
  };
  for (const line of text.split('\n')) {
    if (JOB_LINE.test(line)) close();
    const match = COMMAND.exec(line);
    if (match === null) continue;
    const verb = match[1]!;
    const words = match[2]!.split(/\s+/);
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
    if (replaces) secondary[instance] = target;
    else if (target >= 0) primary[instance] = target;
    else if (secondary[instance]! >= 0)
      [primary[instance], secondary[instance]] = [secondary[instance]!, primary[instance]!];
    else
      throw new UserError(
        'input-invalid',
        `${names.file}: ${verb} of ${words.at(-1)!} names no node (-n), and the instance has no second one`,
      );
  }
  close();
  return placements.length === 0 ? undefined : placements;
}

/** Names as hbal prints them, with or without their common suffix → numbers of the model. */
class NodeAndInstanceNames {
  readonly #nodes = new Map<string, number>();
  readonly #instances = new Map<string, number>();
  readonly file: string;

  constructor(model: GroupModel, file: string) {
    this.file = file;
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
