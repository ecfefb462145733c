import { Command, Option } from 'commander';
import { UserError } from '../domain/errors.js';

/** What hbal's command line has besides the options that mean the same here. */
export interface HbalOptions {
  reason?: string;
  priority?: string;
  mond?: string;
  /** How often `-q` was given. */
  quietness?: number;
}

/** hbal's options that are not taken, and what there is in their place. */
const NOT_TAKEN: readonly [flags: string, instead: string][] = [
  ['-L, --luxi [socket]', "the cluster is read from a text file (-t) or Ganeti's remote API (-m)"],
  ['-I, --ialloc-src <file>', "the cluster is read from a text file (-t) or Ganeti's remote API (-m)"],
  ['-X, --exec', 'a plan is carried out by --execute without --blind, or by the script that -CFILE writes'],
  ['--first-job-group', 'a plan is carried out whole, by --execute without --blind'],
  ['--mond-data <file>', 'monitoring daemons play no part; loads are read from a file (-U)'],
  ['--mond-xen', 'monitoring daemons play no part; loads are read from a file (-U)'],
  ['--exit-on-missing-mond-data', 'monitoring daemons play no part; loads are read from a file (-U)'],
];

/** Of `--priority`, which only jobs that hbal submits have. */
const PRIORITIES = ['low', 'normal', 'high'];

/** What ends with 2 in hbal as well. */
const UNREADABLE = ['commander.unknownOption', 'commander.optionMissingArgument'];

/**
 * A command that reads its words as hbal does, by getopt's rules: short flags may stand in one word (`-vvC`), the last of
 * them with its value (`-ql3`), and a value that may be left out never is the next word (`-C`, `-CFILE`).
 */
export class GetoptCommand extends Command {
  override parseOptions(argv: string[]): ReturnType<Command['parseOptions']> {
    return super.parseOptions(this.#apart(argv));
  }

  protected optionOf(flag: string): Option | undefined {
    return this.options.find(({ short, long }) => flag === short || flag === long);
  }

  /** The same words with one flag each. */
  #apart(argv: readonly string[]): string[] {
    const words: string[] = [];
    for (let w = 0; w < argv.length; w++) {
      const word = argv[w]!;
      if (word === '--') return [...words, ...argv.slice(w)];
      const flags = /^-[^-]/.test(word) ? this.#flagsOf(word) : [this.#alone(word)];
      words.push(...flags);
      // Its value, whatever it looks like.
      if (this.optionOf(flags.at(-1)!)?.required === true && w + 1 < argv.length) words.push(argv[++w]!);
    }
    return words;
  }

  #flagsOf(word: string): string[] {
    const flags: string[] = [];
    for (let at = 1; at < word.length; at++) {
      const option = this.optionOf(`-${word[at]!}`);
      const rest = word.slice(at + 1);
      if (option === undefined || option.required) return [...flags, `-${word.slice(at)}`];
      if (option.optional) return [...flags, `${option.long!}=${rest}`];
      flags.push(option.long!);
    }
    return flags;
  }

  #alone(word: string): string {
    return this.optionOf(word)?.optional === true ? `${word}=` : word;
  }
}

/** With `--blind` it ends with hbal's exit code where its words are wrong. */
export class HbalCommand extends GetoptCommand {
  #isBlind = false;

  override parseOptions(argv: string[]): ReturnType<Command['parseOptions']> {
    this.#isBlind = argv.includes('--blind');
    return super.parseOptions(argv);
  }

  /** `--quiet`, which every command has, is hbal's `-q` as well. */
  protected override optionOf(flag: string): Option | undefined {
    return super.optionOf(flag === '-q' ? '--quiet' : flag);
  }

  override error(message: string, options?: Parameters<Command['error']>[1]): never {
    if (!this.#isBlind || UNREADABLE.includes(options?.code ?? '')) super.error(message, options);
    throw new UserError('hbal-refused', message.replace(/^error: /, '').replace(/\s*\n\s*/g, ' '));
  }
}

/** Adds what hbal has and what only says how it would submit jobs, without showing it in the help. */
export function withHbalOptions(command: Command): Command {
  const hidden = [
    '--reason <reason>',
    '--priority <priority>',
    '--mond [choice]',
    ...NOT_TAKEN.map(([flags]) => flags),
  ];
  for (const flags of hidden) command.addOption(new Option(flags).hideHelp());
  let quietness = 0;
  return command.on('option:quiet', () => command.setOptionValue('quietness', ++quietness));
}

/** Options of the search for time, which `--blind` does not make ... */
const OF_THE_SEARCH = '--max-time --finish-by --max-gain-cost --pareto --quantile --effort'.split(' ');
/** ... and of the schedule, which it makes for `--json` alone. */
const OF_THE_SCHEDULE = ['--parallel-per-node', '--svg'];

/** Refuses, before anything is read, what would be dropped without a word. */
export function refuseHbalOptions(
  command: Command,
  { blind, json, reason, priority, mond }: HbalOptions & { blind?: boolean; json?: boolean },
): void {
  const isGiven = (flag: string): boolean => {
    const option = command.options.find(({ long }) => long === flag)!;
    return command.getOptionValueSource(option.attributeName()) === 'cli';
  };
  const code = blind === true ? 'hbal-refused' : 'usage';
  for (const [flags, instead] of NOT_TAKEN)
    if (isGiven(/--[a-z-]+/.exec(flags)![0]))
      throw new UserError(code, `${flags.replace(/ [<[].*/, '')} of hbal is not taken: ${instead}`);
  if (blind !== true) {
    for (const [flag, value] of Object.entries({
      '--reason': reason,
      '--priority': priority,
      '--mond': mond,
    }))
      if (value !== undefined)
        throw new UserError('usage', `${flag} is an option of hbal; it goes with --blind`);
    return;
  }
  if (priority !== undefined && !PRIORITIES.includes(priority))
    throw new UserError(code, `--priority ${priority}: it must be one of ${PRIORITIES.join(', ')}`);
  if (mond !== undefined && mond !== 'no')
    throw new UserError(
      code,
      `--mond${mond === '' ? '' : `=${mond}`}: monitoring daemons play no part; only --mond=no is taken, and -U for loads`,
    );
  for (const flag of OF_THE_SEARCH)
    if (isGiven(flag))
      throw new UserError(
        'usage',
        `${flag} and --blind exclude each other: time plays no part in hbal's search`,
      );
  for (const flag of OF_THE_SCHEDULE)
    if (json !== true && isGiven(flag))
      throw new UserError(
        'usage',
        `${flag} is about a schedule, which --blind makes with --json alone; add it`,
      );
}
