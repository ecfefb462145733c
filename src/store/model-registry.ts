/**
 * The folder of registered models: `<root>/<name>/<version>/{model.json, card.md, metrics.json}`, and
 * `<root>/<name>/current`, which says which version is in service. Files are written whole or not at all.
 * What stands in a model file is not looked at here.
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
}
