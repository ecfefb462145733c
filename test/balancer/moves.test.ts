import { execFileSync } from 'node:child_process';
import { describe, expect, it } from '@jest/globals';
import { shellWord } from '../../src/balancer/moves.js';

describe('a name in a command', () => {
  it.each(['web;echo gone', '$(id)', '`id`', "it's", 'a b', '"', '*', '&& x', '', 'web1.example.com'])(
    'reaches the program as it is: %j',
    (name) => {
      const said = execFileSync('sh', ['-c', `printf '[%s]' ${shellWord(name)}`], { encoding: 'utf8' });
      expect(said).toBe(`[${name}]`);
    },
  );

  it('stands without quotes where it is that of a host, as in hbal', () => {
    expect(shellWord('web-1_a.example.com')).toBe('web-1_a.example.com');
  });
});
