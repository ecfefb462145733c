import { describe, expect, it } from '@jest/globals';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as client from '../src/service/client.js';
import * as library from '../src/library.js';

const entries: Record<string, object> = { movecast: library, 'movecast/client': client };
const manifest = JSON.parse(readFileSync('package.json', 'utf8')) as {
  exports: Record<string, string | { types: string; default: string }>;
};

describe('what the package exports', () => {
  it('is built from a source that is there, types beside it', () => {
    for (const name of Object.keys(entries)) {
      const entry = manifest.exports[name.replace(/^movecast/, '.')];
      if (entry === undefined || typeof entry === 'string') throw new Error(`${name} is not exported`);
      expect(existsSync(entry.default.replace(/^\.\/dist\/(.*)\.js$/, '$1.ts'))).toBe(true);
      expect(entry.types).toBe(entry.default.replace(/\.js$/, '.d.ts'));
    }
  });

  it('has every name that a page imports from it, and no page imports from anywhere else of ours', () => {
    const imported = readdirSync('docs')
      .filter((name) => name.endsWith('.md'))
      .flatMap((name) => [...readFileSync(join('docs', name), 'utf8').matchAll(IMPORT)]);
    expect(imported.length).toBeGreaterThan(3);
    for (const [, names = '', from = ''] of imported) {
      if (from.startsWith('node:')) continue;
      expect(Object.keys(entries)).toContain(from);
      for (const name of names.split(',')) expect(entries[from]).toHaveProperty(name.trim());
    }
  });
});

const IMPORT = /^import \{([^}]*)\} from '([^']*)';$/gm;
