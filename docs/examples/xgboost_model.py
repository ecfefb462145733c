#!/usr/bin/env python3
"""Trains XGBoost on the frame that `movecast export-frame` wrote, and says how it does on moves that it has not seen.

    movecast export-frame --records data/osic/records.jsonl --out frame.csv
    python3 docs/examples/xgboost_model.py frame.csv trees.json

Needs pandas and XGBoost (Debian: python3-pandas, python3-xgboost). Every split is in time: the oldest moves train, the
next ones stop the boosting early, the newest are left alone until the end, and become the --rows of `movecast models
import`. Writes trees.json, and trees.json.predictions.csv with what it answers to the newest moves.
"""
import hashlib
import json
import sys

import numpy as np
import pandas as pd
import xgboost as xgb

TRAIN, STOP = 0.6, 0.75  # shares of the moves, in order of start; what comes after STOP is never trained on


def read_frame(path):
    """The frame and its schema; refuses a table that is not the one that was exported."""
    schema = json.load(open(path.rsplit('.', 1)[0] + '.schema.json', encoding='utf-8'))
    if schema['schema_version'] != 1:
        sys.exit(f"{path}: schema version {schema['schema_version']}, this script knows 1")
    expected = schema['parquet_sha256' if path.endswith('.parquet') else 'data_sha256']
    if hashlib.sha256(open(path, 'rb').read()).hexdigest() != expected:
        sys.exit(f'{path}: is not the file that its schema describes; export it again')
    if path.endswith('.parquet'):  # needs pyarrow
        frame = pd.read_parquet(path)
    else:
        frame = pd.read_csv(path, float_precision='round_trip')
    frame['started_at'] = pd.to_datetime(frame['started_at'], utc=True)
    return frame, schema


def main(frame_path, model_path):
    frame, schema = read_frame(frame_path)
    features = [column['name'] for column in schema['columns'] if column['role'] == 'feature']
    assert frame['started_at'].is_monotonic_increasing

    # A move counts as known from when it finished: one that still ran when the next part began is left out.
    finish = frame['started_at'] + pd.to_timedelta(frame['duration_seconds'], unit='s')
    stop_from, rows_from = (frame['started_at'].iloc[int(len(frame) * share)] for share in (TRAIN, STOP))
    learn = (frame['weight'] == 1) & (frame['origin_moves'] >= 100)
    train = frame[learn & (finish <= stop_from)]
    stop = frame[learn & (frame['started_at'] >= stop_from) & (finish <= rows_from)]
    newest = frame[frame['started_at'] >= rows_from]

    def matrix(part):
        return xgb.DMatrix(part[features], label=part['residual_log'], feature_names=features)

    parameters = {
        'objective': 'reg:squarederror', 'eval_metric': 'mae', 'tree_method': 'hist', 'max_depth': 5, 'eta': 0.05,
        'min_child_weight': 10, 'subsample': 0.8, 'colsample_bytree': 0.7, 'seed': 1, 'nthread': 1,
    }
    booster = xgb.train(parameters, matrix(train), num_boost_round=600, evals=[(matrix(stop), 'stop')],
                        early_stopping_rounds=30, verbose_eval=False)
    rounds = booster.best_iteration + 1
    booster[:rounds].save_model(model_path)

    # What was trained on is log(actual / physics): physics carries sizes that no tree has seen.
    answer = booster.predict(matrix(newest), iteration_range=(0, rounds))
    seconds = np.exp(newest['log_physics_seconds'] + answer)
    newest.assign(answer=answer, seconds=seconds)[['id', 'answer', 'seconds']].to_csv(
        model_path + '.predictions.csv', index=False)
    done = (newest['censored'] == 0).to_numpy()
    print(f'trained on {len(train)} moves, stopped by {len(stop)} at {rounds} rounds, scored on {done.sum()} newer ones')
    for name, guess in [('physics alone', np.exp(newest['log_physics_seconds'])),
                        ('median of the last moves alike',
                         np.exp(newest['log_physics_seconds'] + newest['recent_config'].fillna(0))),
                        ('XGBoost', seconds)]:
        error = np.abs(guess[done] / newest['duration_seconds'][done] - 1) * 100
        print(f'{name:32} mean error {error.mean():6.1f} %  median {error.median():5.1f} %')
    print(f"rows that it has not seen: --rows-from {rows_from.isoformat(timespec='milliseconds').replace('+00:00', 'Z')}")


if __name__ == '__main__':
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2])
