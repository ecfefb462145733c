import { Command } from 'commander';
import { strangers, unknownNames } from '../balancer/constant-move-costs.js';
import { parseTruthFile, playPlan, type PlayedPlan } from '../balancer/plan-simulator.js';
import { refuseForeign, refuseUnplayable } from '../balancer/playable-plan.js';
import { RoomWatch } from '../balancer/room-watch.js';
import { parsePlan, type Plan } from '../domain/plan.js';
import { namesOf, readCluster } from './cluster-input.js';
import { withCommonOptions, type CommonOptions, type Context } from './context.js';
import { durationText } from './plan-text.js';
import { readJsonFile } from './file-input.js';

interface Options extends CommonOptions {
  truth: string;
  cluster?: string;
  jobsets?: boolean;
}

export function simulateCommand(context: Context): Command {
  const command = new Command('simulate')
    .argument('<plan>', 'a plan in JSON, as balance --json and price --json print it')
    .requiredOption('--truth <file>', 'true durations, network and failures, in a JSON file')
    .option(
      '--cluster <file>',
      'htools text file: sizes of instances, and whether each move has room when it starts',
    )
    .option('--jobsets', "run set after set, each as long as its slowest move, as hbal's -X does");
  withCommonOptions(command, context, {
    examples: [
      'movecast balance cluster.data --json > plan.json; movecast simulate plan.json --truth truth.json --cluster cluster.data',
      'movecast simulate plan.json --truth truth.json --jobsets',
    ],
  });
  return command.action((plan: string, options: Options) => run(plan, options, context));
}

async function run(planFile: string, options: Options, context: Context): Promise<void> {
  const plan = parsePlan(await readJsonFile(planFile), planFile);
  const mode = options.jobsets === true ? 'jobsets' : 'schedule';
  refuseUnplayable(plan, mode, planFile);
  const truth = parseTruthFile(await readJsonFile(options.truth), options.truth);
  const warnings: string[] = [];
  let room: RoomWatch | undefined;
  const instances = new Set([...plan.moves, ...(truth.instances ?? [])].map(({ instance }) => instance));
  if (options.cluster !== undefined) {
    const { cluster } = await readCluster(options.cluster, 'later-wins');
    const known = namesOf(cluster);
    refuseForeign(plan, cluster, planFile, options.cluster);
    room = new RoomWatch(cluster, plan);
    warnings.push(...unknownNames(truth, known, options.truth));
    for (const name of known.instances) instances.add(name);
    truth.instances = [
      ...cluster.instances.map(({ name, memory, disk }) => ({
        instance: name,
        memory_mib: memory,
        disk_mib: disk,
      })),
      ...(truth.instances ?? []),
    ];
  }
  const failing = truth.failures?.map(({ instance }) => instance) ?? [];
  warnings.push(...strangers(`${options.truth}: failures`, 'instance', failing, instances));
  const played = playPlan(plan, truth, mode, room);
  warnings.push(...(room?.sentences() ?? []));
  if (options.quiet !== true) for (const line of warnings) context.stderr.write(`movecast: ${line}\n`);
  const promised = plan.duration_seconds;
  if (options.json === true)
    context.stdout.write(
      `${JSON.stringify({ ...played, promised_seconds: promised, within_p90: played.duration_seconds <= promised.p90 })}\n`,
    );
  else context.stdout.write(playedText(plan, played));
}

function playedText(plan: Plan, played: PlayedPlan): string {
  const count = (status: string): number => played.moves.filter((move) => move.status === status).length;
  const { p50, p90 } = plan.duration_seconds;
  const lines = [
    `Done after ${durationText(played.duration_seconds)}; promised ${durationText(p50)}, nine times of ten ${durationText(p90)}.`,
    `No order of these moves could take less than ${durationText(played.lower_bound_seconds)}.`,
    `${count('completed')} moves completed, ${count('failed')} failed, ${count('not started')} not started.`,
  ];
  const waits = played.moves.map(({ lock_seconds = 0 }) => lock_seconds).filter((wait) => wait > 0);
  if (waits.length > 0)
    lines.push(
      `${waits.length} ${waits.length === 1 ? 'move' : 'moves'} waited for nodes that others held, beyond what the plan says: ${durationText(Math.max(...waits))} at most.`,
    );
  for (const { index, status } of played.moves)
    if (status !== 'completed') lines.push(`  move ${index} of ${plan.moves[index]!.instance}: ${status}`);
  return `${lines.join('\n')}\n`;
}
