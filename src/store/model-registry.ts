import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import {
  appendFile,
  cp,
  mkdir,
  readFile,
  readdir,
  rename,
  rm,
  rmdir,
  stat,
  writeFile,
} from 'node:fs/promises';
import { basename, dirname, join, resolve as resolvePath } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import Database from 'libsql';
import { UserError, systemErrorSentence } from '../domain/errors.js';
import { MS_PER_DAY, toIsoTime } from '../domain/units.js';
import { makeFolders } from './folders.js';

/**
 * The folder of registered models: `<root>/<name>/<version>/{model.json, card.md, metrics.json}`, and
 * `<root>/<name>/current`, which says which version is in service. Files are written whole or not at all.
 * What stands in a model file is not looked at here, but for the name and version in it: they are those of its folder.
 */
export interface RegisteredModel {
  name: string;
  version: string;
  /** The version in service. */
  current: boolean;
  folder: string;
}

export interface ModelFiles {
  /** The parsed text of model.json. */
  model: unknown;
  card: string;
  metrics: unknown;
  /** What the training's rolling backtest had predicted: one JSON object with id, duration_seconds and basis a line. */
  backtest?: string;
  /** The same backtest as a page of plots: HTML that needs no network. */
  report?: string;
}

/** Names and versions become folder names: no separators, nothing hidden, nothing that leads out of the registry. */
const SAFE_NAME = /^[A-Za-z0-9][A-Za-z0-9._+-]{0,99}$/;

export const MODEL_FILE = 'model.json';
const CARD_FILE = 'card.md';
const METRICS_FILE = 'metrics.json';
/** Optional: lets a service show how the model had done on the moves that it was trained on. */
const BACKTEST_FILE = 'backtest.jsonl';
/** Optional: plots for a person. */
const REPORT_FILE = 'report.html';
/** One line: the version in service. */
const CURRENT_FILE = 'current';
/**
 * What was put in service when, oldest first, one change a line: `TIME promoted VERSION after VERSION`, or `rolled-back`.
 * Lines are only ever added. A line of an older registry is a version alone: it was in service before.
 */
const HISTORY_FILE = 'history';
/** Held by whoever changes what is in service; empty. */
const LOCK_FILE = '.lock';
/** What is being written starts with a dot, so that `list` never shows half a model. */
const UNFINISHED_PREFIX = '.unfinished-';

/** A change takes milliseconds: who waits this long waits for a process that hangs. */
const LONGEST_WAIT_MS = 10_000;
const WAIT_MS = 10;
/** A registration takes seconds: what is unfinished for a day was broken off. */
const UNFINISHED_DAYS = 1;

/** A change of what is in service. */
export interface ServiceChange {
  /** RFC 3339. */
  at: string;
  action: 'promoted' | 'rolled-back';
  /** In service from then on. */
  version: string;
  /** In service until then; undefined when none was. */
  before: string | undefined;
}

/**
 * The registry under one folder. Several processes may use it at once: a reader sees a file before or after a change, and
 * changes of what is in service follow each other.
 *
 * @example
 * const registry = new ModelRegistry('models');
 * const files = await registry.read(await registry.resolve('default'));
 */
export class ModelRegistry {
  /** The change of what is in service that is under way, so that changes asked for at once follow each other. */
  private changing: Promise<unknown> = Promise.resolve();

  /**
   * @param ownFolder where models are written
   * @param shippedFolder models that stand in as long as `ownFolder` is not there, and that it then begins with a copy of:
   * never written to
   */
  constructor(
    private readonly ownFolder: string,
    private readonly now: () => number = Date.now,
    private readonly shippedFolder?: string,
  ) {}

  /** The folder that is read. */
  get root(): string {
    const { ownFolder, shippedFolder } = this;
    if (shippedFolder === undefined || existsSync(ownFolder) || !existsSync(shippedFolder)) return ownFolder;
    return shippedFolder;
  }

  /** Before anything is written: an own folder that is not there yet begins with what stood in for it, whole or not at all. */
  private async begin(): Promise<void> {
    const { root, ownFolder } = this;
    if (root === ownFolder) return;
    const unfinished = join(dirname(ownFolder), UNFINISHED_PREFIX + randomUUID());
    try {
      makeFolders(dirname(ownFolder));
      await cp(root, unfinished, { recursive: true, filter: (path) => !basename(path).startsWith('.') });
      await rename(unfinished, ownFolder);
    } catch (error) {
      await rm(unfinished, { recursive: true, force: true });
      if (existsSync(ownFolder)) return; // another process was sooner
      throw new UserError('cannot-write', systemErrorSentence(error, ownFolder));
    }
  }

  /** Every version of every model, by name, then by version; an absent folder holds none. */
  async list(): Promise<RegisteredModel[]> {
    const models: RegisteredModel[] = [];
    for (const name of await folders(this.root)) {
      const current = await this.currentVersion(name);
      for (const version of await this.versions(name)) {
        models.push({ name, version, current: version === current, folder: this.folder(name, version) });
      }
    }
    return models;
  }

  /**
   * `NAME` (the version in service), `NAME@VERSION`, or the path of a model's folder.
   *
   * @throws UserError `not-found` in a sentence that names what there is.
   */
  async resolve(reference: string): Promise<RegisteredModel> {
    const at = reference.indexOf('@');
    const name = at < 0 ? reference : reference.slice(0, at);
    if (SAFE_NAME.test(name) && (await isFolder(join(this.root, name)))) {
      if (at >= 0) return this.known(name, reference.slice(at + 1));
      const current = await this.currentVersion(name);
      if (current !== undefined) return this.known(name, current);
      if (!(await isFile(join(reference, MODEL_FILE))))
        throw new UserError(
          'not-found',
          `model ${name} has no version in service; promote one of: ${await this.versionNames(name)}`,
        );
    }
    if (await isFile(join(reference, MODEL_FILE))) {
      const folder = resolvePath(reference);
      const parent = basename(dirname(folder));
      const inRegistry = resolvePath(this.root, parent, basename(folder)) === folder;
      const current = inRegistry && (await this.currentVersion(parent)) === basename(folder);
      return { name: parent, version: basename(folder), current, folder: reference };
    }
    const names = await folders(this.root);
    throw new UserError(
      'not-found',
      `no model ${printable(reference)} in ${this.root}; ${
        names.length > 0 ? `there is: ${names.join(', ')}` : 'none is registered: train one'
      }`,
    );
  }

  /** The files of a model. A card or metrics that are absent read as empty. */
  async read(model: RegisteredModel): Promise<ModelFiles> {
    const modelFile = join(model.folder, MODEL_FILE);
    let text: string;
    try {
      text = await readFile(modelFile, 'utf8');
    } catch (error) {
      throw new UserError('model-unusable', systemErrorSentence(error, modelFile));
    }
    const backtest = await readIfThere(join(model.folder, BACKTEST_FILE));
    const report = await readIfThere(join(model.folder, REPORT_FILE));
    return {
      ...(backtest === undefined ? {} : { backtest }),
      ...(report === undefined ? {} : { report }),
      model: this.named(model, parseJson(text, modelFile)),
      card: (await readIfThere(join(model.folder, CARD_FILE))) ?? '',
      metrics: parseJson(
        (await readIfThere(join(model.folder, METRICS_FILE))) ?? '{}',
        join(model.folder, METRICS_FILE),
      ),
    };
  }

  /** A model that was imported or copied under another name answers by the one that it has here. */
  private named({ name, version, folder }: RegisteredModel, model: unknown): unknown {
    const isRegistered = name !== '' && resolvePath(folder) === resolvePath(this.folder(name, version));
    if (!isRegistered || typeof model !== 'object' || model === null) return model;
    return { ...model, name, version };
  }

  /**
   * Writes a new version, whole or not at all. It is not in service until it is promoted.
   *
   * @throws UserError `usage` for a name that is no folder name or a version that exists, `cannot-write`.
   */
  async register(name: string, version: string, files: ModelFiles): Promise<RegisteredModel> {
    checkName('model name', name);
    checkName('version', version);
    await this.begin();
    const folder = this.folder(name, version);
    const taken = new UserError(
      'usage',
      `model ${name}@${version} is registered already; give another version`,
    );
    if (await isFolder(folder)) throw taken;
    const ofName = join(this.root, name);
    const isFirst = !(await isFolder(ofName));
    let unfinished: string | undefined;
    try {
      makeFolders(ofName);
      await this.removeUnfinished(name);
      unfinished = join(ofName, UNFINISHED_PREFIX + randomUUID());
      await mkdir(unfinished);
      await writeFile(join(unfinished, MODEL_FILE), `${JSON.stringify(files.model)}\n`);
      await writeFile(join(unfinished, CARD_FILE), files.card);
      await writeFile(join(unfinished, METRICS_FILE), `${JSON.stringify(files.metrics, null, 2)}\n`);
      if (files.backtest !== undefined) await writeFile(join(unfinished, BACKTEST_FILE), files.backtest);
      if (files.report !== undefined) await writeFile(join(unfinished, REPORT_FILE), files.report);
      await rename(unfinished, folder);
    } catch (error) {
      if (unfinished !== undefined) await rm(unfinished, { recursive: true, force: true });
      if (isFirst) await rmdir(ofName).catch(() => undefined); // unless somebody else has put a version there
      const code = (error as NodeJS.ErrnoException).code;
      if (code === 'ENOTEMPTY' || code === 'EEXIST') throw taken;
      throw new UserError('cannot-write', systemErrorSentence(error, folder));
    }
    return { name, version, current: (await this.currentVersion(name)) === version, folder };
  }

  /**
   * Refuses what `register` would refuse for its name or its place, before time is spent on making a version.
   *
   * @throws UserError `usage`, `cannot-write`
   */
  async checkPlace(name: string): Promise<void> {
    checkName('model name', name);
    await this.begin();
    const ofName = join(this.root, name);
    const isFirst = !(await isFolder(ofName));
    const tried = join(ofName, UNFINISHED_PREFIX + randomUUID());
    try {
      makeFolders(ofName);
      await mkdir(tried);
      await rmdir(tried);
    } catch (error) {
      throw new UserError('cannot-write', systemErrorSentence(error, ofName));
    } finally {
      if (isFirst) await rmdir(ofName).catch(() => undefined); // unless somebody has put a version there
    }
  }

  /** Puts a version in service; the one before stays in the history. */
  async promote(name: string, version: string): Promise<void> {
    await this.known(name, version);
    if ((await this.currentVersion(name)) === version) return;
    await this.changeAlone(name, () => this.putInService(name, version));
  }

  private async putInService(name: string, version: string): Promise<void> {
    await this.known(name, version);
    const before = await this.currentVersion(name);
    if (before === version) return;
    await this.change(name, { action: 'promoted', version, before });
  }

  /** Puts the version back in service that was there before, and returns it. */
  rollback(name: string): Promise<RegisteredModel> {
    return this.changeAlone(name, () => this.takeBack(name));
  }

  private async takeBack(name: string): Promise<RegisteredModel> {
    const current = await this.currentVersion(name);
    const versions = await this.versions(name);
    const earlier = await this.earlierVersions(name);
    let version = earlier.pop();
    while (version !== undefined && (version === current || !versions.includes(version)))
      version = earlier.pop();
    if (version === undefined)
      throw new UserError('not-found', `model ${name} has no earlier version to go back to`);
    await this.change(name, { action: 'rolled-back', version, before: current });
    return this.known(name, version);
  }

  /** Every change of what is in service, oldest first. */
  async history(name: string): Promise<ServiceChange[]> {
    const changes: ServiceChange[] = [];
    for (const line of await this.historyLines(name)) {
      const change = parseChange(line);
      if (change !== undefined) changes.push(change);
    }
    return changes;
  }

  /** What a rollback goes back to, the last one first to go: the history played through. */
  private async earlierVersions(name: string): Promise<string[]> {
    const earlier: string[] = [];
    for (const line of await this.historyLines(name)) {
      const change = parseChange(line);
      if (change === undefined) {
        if (SAFE_NAME.test(line)) earlier.push(line); // of an older registry
      } else if (change.action === 'promoted') {
        if (change.before !== undefined) earlier.push(change.before);
      } else if (earlier.includes(change.version)) earlier.splice(earlier.lastIndexOf(change.version));
    }
    return earlier;
  }

  private async historyLines(name: string): Promise<string[]> {
    if (!SAFE_NAME.test(name)) return [];
    const text = (await readIfThere(join(this.root, name, HISTORY_FILE))) ?? '';
    return text.split('\n').filter((line) => line !== '');
  }

  /** A line in the history first: what was not written there has not happened. */
  private async change(name: string, { action, version, before }: Omit<ServiceChange, 'at'>): Promise<void> {
    const path = join(this.root, name, HISTORY_FILE);
    const after = before === undefined ? '' : ` after ${before}`;
    const line = `${toIsoTime(this.now())} ${action} ${version}${after}\n`;
    try {
      // A process that was killed may have left half a line.
      const text = (await readIfThere(path)) ?? '';
      await appendFile(path, text === '' || text.endsWith('\n') ? line : `\n${line}`);
    } catch (error) {
      if (error instanceof UserError) throw error;
      throw new UserError('cannot-write', systemErrorSentence(error, path));
    }
    await this.write(name, CURRENT_FILE, [version]);
  }

  /** The version in service; undefined when none is. */
  async currentVersion(name: string): Promise<string | undefined> {
    if (!SAFE_NAME.test(name)) return undefined;
    const version = (await readIfThere(join(this.root, name, CURRENT_FILE)))?.trim();
    return version !== undefined && SAFE_NAME.test(version) ? version : undefined;
  }

  /** Copies a model into a folder `toFolder` that is not there yet. */
  async export(model: RegisteredModel, toFolder: string): Promise<void> {
    const files = await this.read(model);
    const target = resolvePath(toFolder);
    const outside = new ModelRegistry(dirname(dirname(target)));
    if (await isFolder(target))
      throw new UserError('cannot-write', `${toFolder} is there already; give a folder that is not`);
    const parent = basename(dirname(target));
    if (SAFE_NAME.test(parent) && SAFE_NAME.test(basename(target))) {
      await outside.register(parent, basename(target), files);
      return;
    }
    throw new UserError(
      'usage',
      `cannot export to ${toFolder}; give a path whose last two parts are plain folder names`,
    );
  }

  /** Registers the model in a folder under a name and version; both default to the folder's own last two parts. */
  async import(
    fromFolder: string,
    { name, version }: { name?: string; version?: string } = {},
  ): Promise<RegisteredModel> {
    const folder = resolvePath(fromFolder);
    const files = await this.read({ name: '', version: '', current: false, folder });
    return this.register(name ?? basename(dirname(folder)), version ?? basename(folder), files);
  }

  /** Runs a change when no other one of this model is under way, here or in another process. */
  private changeAlone<T>(name: string, change: () => Promise<T>): Promise<T> {
    const changed = this.changing.then(() => this.withLock(name, change));
    this.changing = changed.catch(() => undefined);
    return changed;
  }

  /**
   * The lock is SQLite's on an empty file: the system gives it back when its holder ends, however it ends, so that none
   * is ever left behind.
   */
  private async withLock<T>(name: string, change: () => Promise<T>): Promise<T> {
    if (!SAFE_NAME.test(name) || !(await isFolder(join(this.root, name)))) {
      await this.resolve(name); // throws, and says what there is
      throw new UserError('not-found', `no model ${printable(name)} in ${this.root}`);
    }
    await this.begin();
    const path = join(this.root, name, LOCK_FILE);
    const refused = (error: unknown): UserError =>
      new UserError('cannot-write', systemErrorSentence(error, path));
    let lock: Database.Database;
    try {
      lock = new Database(path);
    } catch (error) {
      throw refused(error);
    }
    try {
      for (let waitedMs = 0; ; waitedMs += WAIT_MS) {
        try {
          lock.exec('BEGIN EXCLUSIVE');
          break;
        } catch (error) {
          if ((error as { code?: unknown }).code !== 'SQLITE_BUSY') throw refused(error);
          if (waitedMs >= LONGEST_WAIT_MS)
            throw new UserError(
              'cannot-write',
              `${path}: another process has been changing what is in service for ${LONGEST_WAIT_MS / 1000} s; see whether it hangs`,
            );
          await delay(WAIT_MS);
        }
      }
      return await change();
    } finally {
      lock.close();
    }
  }

  /** Removes what a registration left that was broken off long ago. */
  private async removeUnfinished(name: string): Promise<void> {
    for (const entry of await readdir(join(this.root, name))) {
      if (!entry.startsWith(UNFINISHED_PREFIX)) continue;
      const path = join(this.root, name, entry);
      const modified = (await stat(path).catch(() => undefined))?.mtimeMs ?? Infinity;
      if (this.now() - modified > UNFINISHED_DAYS * MS_PER_DAY)
        await rm(path, { recursive: true, force: true });
    }
  }

  private folder(name: string, version: string): string {
    return join(this.root, name, version);
  }

  private async versions(name: string): Promise<string[]> {
    const found: string[] = [];
    for (const version of await folders(join(this.root, name))) {
      if (await isFile(join(this.folder(name, version), MODEL_FILE))) found.push(version);
    }
    return found;
  }

  private async versionNames(name: string): Promise<string> {
    const versions = await this.versions(name);
    return versions.length > 0 ? versions.join(', ') : 'none is registered';
  }

  private async known(name: string, version: string): Promise<RegisteredModel> {
    const folder = this.folder(name, version);
    if (!SAFE_NAME.test(name) || !SAFE_NAME.test(version) || !(await isFile(join(folder, MODEL_FILE)))) {
      const there = SAFE_NAME.test(name) ? await this.versionNames(name) : 'none';
      throw new UserError(
        'not-found',
        `no version ${printable(version)} of model ${printable(name)} in ${this.root}; there is: ${there}`,
      );
    }
    return { name, version, current: (await this.currentVersion(name)) === version, folder };
  }

  /** One small file of lines, replaced in one step. */
  private async write(name: string, file: string, lines: readonly string[]): Promise<void> {
    const path = join(this.root, name, file);
    const unfinished = `${join(this.root, name, UNFINISHED_PREFIX)}${file}-${randomUUID()}`;
    try {
      await writeFile(unfinished, lines.map((line) => `${line}\n`).join(''));
      await rename(unfinished, path);
    } catch (error) {
      await rm(unfinished, { force: true });
      throw new UserError('cannot-write', systemErrorSentence(error, path));
    }
  }
}

function checkName(what: string, name: string): void {
  if (!SAFE_NAME.test(name))
    throw new UserError(
      'usage',
      `${what} ${printable(name)} cannot be a folder name; use letters, digits, and . _ + - inside, at most 100`,
    );
}

function parseChange(line: string): ServiceChange | undefined {
  const [at, action, version, after, before] = line.split(' ');
  if (at === undefined || version === undefined || !SAFE_NAME.test(version)) return undefined;
  if (action !== 'promoted' && action !== 'rolled-back') return undefined;
  return { at, action, version, before: after === 'after' ? before : undefined };
}

const printable = (text: string): string => text.replace(/\p{Cc}/gu, '?').slice(0, 200);

function parseJson(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new UserError('model-unusable', `${path} is not valid JSON; train or import the model again`);
  }
}

/** Names of the folders in a folder, sorted by number and letter, hidden ones left out. */
async function folders(path: string): Promise<string[]> {
  try {
    const entries = await readdir(path);
    const found: string[] = [];
    for (const entry of entries) {
      if (SAFE_NAME.test(entry) && (await isFolder(join(path, entry)))) found.push(entry);
    }
    return found.sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw new UserError('input-unreadable', systemErrorSentence(error, path));
  }
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new UserError('input-unreadable', systemErrorSentence(error, path));
  }
}

const isFolder = async (path: string): Promise<boolean> =>
  (await stat(path).catch(() => undefined))?.isDirectory() === true;
const isFile = async (path: string): Promise<boolean> =>
  (await stat(path).catch(() => undefined))?.isFile() === true;
