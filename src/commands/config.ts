import { Argument, Command } from 'commander';
import { withCommonOptions, type CommonOptions, type Context } from './context.js';
import { serviceSettings } from './service-settings.js';
import { shownValue } from './settings.js';
import { watchSettings } from './watch-settings.js';

/** Addresses may hold one. */
const HOLDS_PASSWORD: ReadonlySet<string> = new Set(['store', 'master']);

/** `config`: the settings that `serve` or `watch` would run with, and where each value comes from. */
export function configCommand(context: Context): Command {
  const command = serviceSettings
    .addTo(new Command('config'))
    .addArgument(new Argument('[command]', 'whose settings').choices(['serve', 'watch']).default('serve'));
  withCommonOptions(command, context, {
    examples: [
      'movecast config',
      'movecast config watch',
      'MOVECAST_PORT=9000 movecast config --host 0.0.0.0 --json',
    ],
  });
  return command.action(async (name: string, options: Partial<CommonOptions>) => {
    const settings = name === 'watch' ? watchSettings : serviceSettings;
    const { origins } = await settings.read(options as Record<string, unknown>, context);
    if (options.json === true) {
      const shown = Object.fromEntries(
        origins.map((origin) => [
          origin.key,
          {
            value:
              origin.value === undefined
                ? null
                : HOLDS_PASSWORD.has(origin.key)
                  ? shownValue(origin)
                  : origin.value,
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
