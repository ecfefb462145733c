import type { SearchResult } from '../balancer/blind-search.js';
import type { Cluster } from '../balancer/cluster.js';
import type { GroupModel } from '../balancer/group-model.js';
import { showFixed, showGeneral } from '../balancer/haskell-numbers.js';
import {
  componentLines,
  countBad,
  countPolicyViolations,
  inconsistencyLines,
  instanceTable,
  nodeTable,
  policyRecord,
  solutionLines,
  type ShortNames,
} from '../balancer/hbal-report.js';
import { formatHtoolsText } from '../balancer/htools-text.js';
import type { Context } from './context.js';
import { writeWhole } from './output-file.js';

/** What hbal prints, of options that it has. */
interface Wanted {
  printNodes?: string;
  printInstances?: boolean;
  ignoreSoftErrors?: boolean;
  save?: string;
  verbose: number;
  /** How often `-q` was given. */
  quietness?: number;
}

/**
 * What hbal says, in its words and on its streams: of a search with `--blind` all of it, else (`isWhole` false) only the
 * tables and files that were asked for.
 */
export class HbalOutput {
  /** As hbal counts: 1 unless -v or -q was given, each as often as it is given. */
  readonly #verbosity: number;

  constructor(
    private readonly wanted: Wanted,
    private readonly isWhole: boolean,
    private readonly context: Context,
  ) {
    this.#verbosity = 1 + wanted.verbose - (wanted.quietness ?? 0);
  }

  /** @returns false where hbal goes no further */
  loaded(cluster: Cluster): boolean {
    // At 0 alone, as hbal: with -q twice they are there again.
    if (this.#verbosity !== 0) for (const line of inconsistencyLines(cluster)) this.#sayAside(line);
    if (this.#verbosity > 1) {
      this.#say(`Loaded cluster tags: ${cluster.tags.join(',')}`);
      this.#say(`Loaded cluster ipolicy: ${policyRecord(cluster.policy)}`);
    }
    if (cluster.instances.length === 0) {
      this.#say('Cluster is empty, exiting.');
      if (this.isWhole) return false;
    }
    this.#say(`Loaded ${cluster.nodes.length} nodes, ${cluster.instances.length} instances`);
    return true;
  }

  chosen(model: GroupModel, groupName: string, names: ShortNames): void {
    if (names.suffix !== '' && this.#verbosity > 1)
      this.#say(`Note: Stripping common suffix of '${names.suffix}' from names`);
    this.#say(`Group size ${model.nodeCount} nodes, ${model.instanceCount} instances`);
    this.#say(`Selected node group: ${groupName}`);
    const bad = countBad(model);
    if (this.#verbosity > 0)
      this.#say(`Initial check done: ${bad.nodes} bad nodes, ${bad.instances} bad instances.`);
    if (bad.nodes > 0)
      this.#say('Cluster is not N+1 happy, continuing but no guarantee that the cluster will end N+1 happy.');
    const violations = countPolicyViolations(model);
    if (violations === 0) return;
    this.#say(`The cluster contains ${violations} policy-violating nodes.`);
    this.#say(
      this.wanted.ignoreSoftErrors === true
        ? 'Continuing, ignoring soft errors.'
        : 'Continuing, but the set of moves might be too restricted; consider using the --ignore-soft-errors option.',
    );
  }

  /** @param minScore as `-e` gives it */
  found(result: SearchResult, start: GroupModel, names: ShortNames, minScore: number): void {
    const before = showFixed(result.scoreBefore, 8);
    const isDetailed = this.#verbosity > 2;
    if (isDetailed) {
      this.#say(`Initial coefficients: overall ${before}`);
      for (const line of componentLines(result.componentsBefore, start.onlineCount)) this.#say(line);
    } else this.#say(`Initial score: ${before}`);
    if (result.alreadyBalanced) {
      this.#say(`Cluster is already well balanced (initial score ${showGeneral(result.scoreBefore, 6)},`);
      this.#say(`optimum score due to N+1 reservations ${showGeneral(start.optimum, 6)},`);
      this.#say(`minimum score ${showGeneral(minScore, 6)}).`);
      this.#say('Nothing to do, exiting');
      return;
    }
    this.#say('Trying to minimize the CV...');
    for (const line of solutionLines(result.steps, start, names)) this.#say(line);
    if (result.steps.length === 0) this.#say('No solution found');
    else if (isDetailed) {
      this.#say(`Final coefficients:   overall ${showFixed(result.scoreAfter, 8)}`);
      for (const line of componentLines(result.componentsAfter, start.onlineCount)) this.#say(line);
    } else this.#say(`Cluster score improved from ${before} to ${showFixed(result.scoreAfter, 8)}`);
    if (this.#verbosity > 0) this.#say(`Solution length=${result.steps.length}`);
  }

  /** `--print-instances` and `-p`. */
  tables(when: 'Initial' | 'Final', model: GroupModel, names: ShortNames): void {
    const { printInstances, printNodes } = this.wanted;
    if (printInstances === true) this.#table(`${when} instance map`, instanceTable(model));
    if (printNodes !== undefined)
      this.#table(`${when} cluster status`, [...nodeTable(model, names, printNodes), '']);
  }

  /** `-S`. */
  async saved(when: 'before' | 'after', cluster: Cluster): Promise<void> {
    if (this.wanted.save === undefined) return;
    const file = `${this.wanted.save}.${when === 'before' ? 'original' : 'balanced'}`;
    await writeWhole(file, formatHtoolsText(cluster));
    this.#sayAside(`The cluster state ${when} balancing has been written to file '${file}'`);
  }

  #say(line: string): void {
    if (this.isWhole) this.context.stdout.write(`${line}\n`);
  }

  #sayAside(line: string): void {
    if (this.isWhole) this.context.stderr.write(`${line}\n`);
  }

  #table(title: string, lines: readonly string[]): void {
    this.context.stderr.write(`\n${title}:\n${lines.map((line) => `${line}\n`).join('')}`);
  }
}
