import type { Cluster } from '../../src/balancer/cluster.js';
import type { GroupModelOptions } from '../../src/balancer/group-model.js';
import { defaultSearchOptions, type SearchOptions } from '../../src/balancer/search-options.js';
import { parseUtilisation } from '../../src/balancer/utilisation.js';

/** One run of the real hbal, as recorded; numbers are the text that it printed. */
export interface HbalRun {
  options: string[];
  rc: number;
  outcome: string;
  initial_score: string | null;
  final_score: string | null;
  initial_metrics?: { name: string; value: string; weight: number }[];
  final_metrics?: { name: string; value: string; weight: number }[];
  steps: { instance: string; from: string; to: string; score: string; action: string }[];
  jobsets?: string[][][];
  common_suffix?: string;
  util_file?: string;
  group?: string;
  bad_nodes?: number;
  bad_instances?: number;
  saved_original_sha256?: string;
  saved_balanced_sha256?: string;
  label?: string;
}

/** hbal's command line options as ours inside. */
export function optionsOf(
  run: HbalRun,
  cluster: Cluster,
): { model: GroupModelOptions; search: SearchOptions } {
  const search: SearchOptions = { ...defaultSearchOptions };
  const used = new Set(cluster.nodes.map(({ group }) => group));
  const model: GroupModelOptions = { group: [...used][0] ?? 0 };
  const offline = new Set<string>();
  const words = run.options.flatMap((word) => (/^--[a-z-]+=/.test(word) ? splitOnce(word) : [word]));
  for (let w = 0; w < words.length; w++) {
    const value = (): string => words[++w] ?? '';
    const names = (all: { name: string }[]): Set<string> =>
      new Set(
        value()
          .split(',')
          .map((name) => fullName(name, all)),
      );
    switch (words[w]) {
      case '-l':
        search.maxLength = Number(value());
        break;
      case '-e':
        search.minScore = Number(value());
        break;
      case '-g':
        search.minGain = Number(value());
        break;
      case '--min-gain-limit':
        search.minGainLimit = Number(value());
        break;
      case '-G': {
        const wanted = value();
        model.group = cluster.groups.findIndex(({ name, uuid }) => name === wanted || uuid === wanted);
        break;
      }
      case '-O':
        offline.add(fullName(value(), cluster.nodes));
        break;
      case '-U':
        value();
        model.loads = parseUtilisation(run.util_file ?? '', 'util');
        break;
      case '--max-cpu':
        model.maxCpuRatio = Number(value());
        break;
      case '--min-disk':
        model.minDiskRatio = Number(value());
        break;
      case '--exclusion-tags':
        model.exclusionTags = value().split(',');
        break;
      case '--select-instances':
        search.selected = names(cluster.instances);
        break;
      case '--exclude-instances':
        search.excluded = names(cluster.instances);
        break;
      case '--ignore-dynu':
        model.ignoreLoads = true;
        break;
      case '--no-disk-moves':
        search.diskMoves = false;
        break;
      case '--no-instance-moves':
        search.instanceMoves = false;
        break;
      case '--evac-mode':
        search.evacuate = true;
        break;
      case '--restricted-migration':
        search.restrictedMigration = true;
        break;
      case '--ignore-soft-errors':
        search.ignoreSoftErrors = true;
        break;
      default:
        throw new Error(`the test does not know hbal's option ${words[w]}`);
    }
  }
  model.offline = offline;
  return { model, search };
}

const splitOnce = (word: string): string[] => {
  const at = word.indexOf('=');
  return [word.slice(0, at), word.slice(at + 1)];
};

const fullName = (short: string, all: readonly { name: string }[]): string =>
  all.find(({ name }) => name === short)?.name ??
  all.find(({ name }) => name.startsWith(`${short}.`))?.name ??
  short;
