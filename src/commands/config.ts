import { Command } from 'commander';
import { withCommonOptions, type CommonOptions, type Context } from './context.js';
import { readSettings, shownValue, withSettings } from './service-settings.js';

/** `config`: the settings that `serve` would run with, and where each value comes from. */
export function configCommand(context: Context): Command {
  const command = withSettings(new Command('config'));
  withCommonOptions(command, context, {
    examples: ['movecast config', 'MOVECAST_PORT=9000 movecast config --host 0.0.0.0 --json'],
  });
  return command.action(async (options: Partial<CommonOptions>) => {
    const { origins } = await readSettings(options as Record<string, unknown>, context);
    if (options.json === true) {
      const shown = Object.fromEntries(
        origins.map((origin) => [
          origin.key,
          {
            value:
              origin.value === undefined ? null : origin.key === 'store' ? shownValue(origin) : origin.value,
            from: origin.from,
          },
        ]),
      );
      context.stdout.write(`${JSON.stringify(shown)}\n`);
      return;
    }
    const nameWidth = Math.max(...origins.map(({ key }) => key.length));
    const valueWidth = Math.max(...origins.map((origin) => shownValue(origin).length));
    for (const origin of origins)
      context.stdout.write(
        `${origin.key.padEnd(nameWidth)}  ${shownValue(origin).padEnd(valueWidth)}  ${origin.from}\n`,
      );
  });
}
