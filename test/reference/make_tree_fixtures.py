"""Makes the fixtures of test/fixtures/trees with the real libraries: run by hand, its output is committed.

    /usr/bin/python3 test/reference/make_tree_fixtures.py xgboost     # Debian: python3-xgboost 1.7.4
    python3 test/reference/make_tree_fixtures.py lightgbm             # pip install lightgbm==4.7.0
    /usr/bin/python3 test/reference/make_tree_fixtures.py onnx        # Debian: python3-onnx 1.12 (its own helper)
    python3 test/reference/make_tree_fixtures.py onnxruntime          # pip install onnxruntime==1.30.0: the answers

Each model file stands beside its rows with the library's answers: <name>.rows.json = {"rows": [[...]], "answers": [...]},
null = missing. Rows are doubles that a float cannot hold, some of them within a rounding of a threshold.
"""
import json
import os
import sys

import numpy as np

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'fixtures', 'trees')
NAMES = ['memory_mib', 'dirty_mib_s', 'bandwidth_mbps', 'used_share', 'parallel']


def data(seed, rows):
    rng = np.random.default_rng(seed)
    X = np.column_stack([
        np.exp2(rng.integers(8, 16, rows)) * rng.choice([1, 1.1], rows),
        rng.gamma(2, 20, rows),
        rng.choice([100, 1000, 10_000], rows) * rng.uniform(.7, 1, rows),
        rng.uniform(0, 1, rows),
        rng.integers(1, 5, rows).astype(float),
    ])
    y = np.log(X[:, 0] * X[:, 3] * 8.4 / X[:, 2] * X[:, 4]) + .01 * X[:, 1] + rng.normal(0, .2, rows)
    X[rng.random(X.shape) < .08] = np.nan
    return X, y


def probe(thresholds):
    """Rows at, just below and just above every kind of threshold, and plain ones."""
    X, _ = data(2, 60)
    rng = np.random.default_rng(3)
    near = []
    for column, t in thresholds:
        for x in (t, np.nextafter(t, -np.inf), np.nextafter(t, np.inf), t * (1 + 3e-8), t * (1 - 3e-8), t * (1 + 5e-8),
                  t * (1 - 5e-8), -t, 0.0, -0.0, 1e-36):
            row = X[rng.integers(len(X))].copy()
            row[column] = x
            near.append(row)
    rng.shuffle(near)
    return np.vstack([X] + near[:140])


def save(name, rows, answers, note):
    cells = [[None if np.isnan(x) else float(x) for x in row] for row in rows]
    with open(os.path.join(HERE, name + '.rows.json'), 'w') as file:
        json.dump({'made_by': note, 'rows': cells, 'answers': [float(a) for a in np.ravel(answers)]}, file,
                  separators=(',', ':'))
        file.write('\n')


def make_xgboost():
    import xgboost as xgb
    X, y = data(1, 800)
    common = dict(max_depth=4, eta=.3, nthread=1, seed=1)
    kinds = {
        'xgboost-squared': (dict(objective='reg:squarederror'), y),
        'xgboost-l1': (dict(objective='reg:absoluteerror', tree_method='hist', grow_policy='lossguide', max_leaves=9), y),
        'xgboost-gamma': (dict(objective='reg:gamma'), np.exp(y)),
        'xgboost-logistic': (dict(objective='binary:logistic', base_score=.3), (y > 1).astype(float)),
        'xgboost-aft': (dict(objective='survival:aft', aft_loss_distribution='logistic', tree_method='hist'), None),
        'xgboost-logitraw': (dict(objective='binary:logitraw', base_score=.3), (y > 1).astype(float)),
        'xgboost-dart': (dict(objective='reg:squarederror', booster='dart', rate_drop=.3), y),
        'xgboost-monotone': (dict(objective='reg:squarederror', tree_method='hist', monotone_constraints='(1,0,-1,0,0)'), y),
    }

    def probe_of(path):
        model = json.load(open(path))['learner']['gradient_booster']
        trees = model.get('gbtree', model)['model']['trees']
        cuts = [(f, t) for tree in trees for f, t, l in
                zip(tree['split_indices'], tree['split_conditions'], tree['left_children']) if l >= 0]
        return probe(cuts[:25])

    for name, (params, target) in kinds.items():
        train = xgb.DMatrix(X, target, feature_names=NAMES)
        if target is None:
            train.set_float_info('label_lower_bound', np.exp(y))
            train.set_float_info('label_upper_bound', np.where(np.arange(len(y)) % 5 == 0, np.inf, np.exp(y)))
        booster = xgb.train({**common, **params}, train, num_boost_round=12)
        path = os.path.join(HERE, name + '.json')
        booster.save_model(path)
        rows = probe_of(path)
        save(name, rows, booster.predict(xgb.DMatrix(rows, feature_names=NAMES)), 'XGBoost ' + xgb.__version__)
    # Three trees a round, stopped by the last rows: all rounds, and the first two alone.
    train, later = (xgb.DMatrix(X[part], y[part], feature_names=NAMES) for part in (slice(600), slice(600, None)))
    booster = xgb.train({**common, 'eta': 1, 'num_parallel_tree': 3, 'subsample': .5}, train, num_boost_round=12,
                        evals=[(later, 'later')], early_stopping_rounds=2, verbose_eval=False)
    path = os.path.join(HERE, 'xgboost-parallel.json')
    booster.save_model(path)
    rows = probe_of(path)
    save('xgboost-parallel', rows, booster.predict(xgb.DMatrix(rows, feature_names=NAMES)), 'XGBoost ' + xgb.__version__)
    save('xgboost-parallel-two-rounds', rows[:60],
         booster.predict(xgb.DMatrix(rows[:60], feature_names=NAMES), iteration_range=(0, 2)),
         'XGBoost ' + xgb.__version__)
    booster = xgb.train({**common, 'max_depth': 3, 'tree_method': 'hist', 'max_cat_to_onehot': 1},
                        xgb.DMatrix(X, np.nan_to_num(X[:, 4]) % 3, feature_types=['q', 'q', 'q', 'q', 'c'], enable_categorical=True), 2)
    booster.save_model(os.path.join(HERE, 'refused-xgboost-categories.json'))
    booster = xgb.train({'booster': 'gblinear', 'objective': 'reg:squarederror'}, xgb.DMatrix(np.nan_to_num(X), y), 2)
    booster.save_model(os.path.join(HERE, 'refused-xgboost-linear.json'))
    booster = xgb.train({'objective': 'multi:softprob', 'num_class': 3, 'max_depth': 2},
                        xgb.DMatrix(X, np.clip(y, 0, 2).astype(int)), 2)
    booster.save_model(os.path.join(HERE, 'refused-xgboost-classes.json'))


def make_lightgbm():
    import lightgbm as lgb
    X, y = data(1, 800)
    common = dict(num_leaves=10, learning_rate=.2, verbose=-1, num_threads=1, seed=1, deterministic=True)
    full = np.nan_to_num(X)
    kinds = {
        'lightgbm-squared': (dict(objective='regression'), X, y),
        'lightgbm-quantile': (dict(objective='quantile', alpha=.9), X, y),
        'lightgbm-l1-no-missing': (dict(objective='regression_l1'), full, y),
        'lightgbm-gamma': (dict(objective='gamma'), X, np.exp(y)),
        'lightgbm-binary': (dict(objective='binary', sigmoid=2.0), X, (y > 1).astype(float)),
        'lightgbm-forest': (dict(objective='regression', boosting='rf', bagging_freq=1, bagging_fraction=.6), X, y),
        'lightgbm-dart': (dict(objective='regression', boosting='dart', drop_rate=.3), X, y),
        'lightgbm-stump-of-one': (dict(objective='regression', min_data_in_leaf=1000), X, y),
    }
    for name, (params, rows, target) in kinds.items():
        booster = lgb.train({**common, **params}, lgb.Dataset(rows, target, feature_name=NAMES), num_boost_round=12)
        booster.save_model(os.path.join(HERE, name + '.txt'))
        cuts = []
        for tree in booster.dump_model()['tree_info']:
            stack = [tree['tree_structure']]
            while stack:
                node = stack.pop()
                if 'threshold' in node:
                    cuts.append((node['split_feature'], float(node['threshold'])))
                    stack += [node['left_child'], node['right_child']]
        asked = probe(cuts[:25])
        save(name, asked, booster.predict(asked), 'LightGBM ' + lgb.__version__)
    categories = X.copy()
    categories[:, 4] = np.nan_to_num(categories[:, 4])
    booster = lgb.train({**common, 'objective': 'regression', 'min_data_per_group': 1, 'cat_smooth': 0},
                        lgb.Dataset(categories, y, categorical_feature=[4]), num_boost_round=6)
    booster.save_model(os.path.join(HERE, 'refused-lightgbm-categories.txt'))
    booster = lgb.train({**common, 'objective': 'regression', 'linear_tree': True},
                        lgb.Dataset(full, y, params={'linear_tree': True}), num_boost_round=2)
    booster.save_model(os.path.join(HERE, 'refused-lightgbm-linear.txt'))
    booster = lgb.train({**common, 'objective': 'regression', 'zero_as_missing': True}, lgb.Dataset(full, y), 2)
    booster.save_model(os.path.join(HERE, 'refused-lightgbm-zero-as-missing.txt'))


ONNX_MODELS = {  # comparisons, double trees?, aggregate, doubles taken?, casts before the trees
    'onnx-leq-float': (['BRANCH_LEQ'], False, 'SUM', False, []),
    'onnx-mixed-float': (['BRANCH_LT', 'BRANCH_GT', 'BRANCH_GTE', 'BRANCH_LEQ'], False, 'AVERAGE', False, []),
    'onnx-leq-double': (['BRANCH_LEQ'], True, 'SUM', True, []),
    'onnx-float-cast-to-double': (['BRANCH_LT', 'BRANCH_GT', 'BRANCH_GTE', 'BRANCH_LEQ'], True, 'SUM', False, ['DOUBLE']),
    'onnx-double-cast-to-float-and-back': (['BRANCH_LT', 'BRANCH_LEQ'], True, 'SUM', True, ['DOUBLE', 'FLOAT', 'DOUBLE']),
}


def make_onnx():
    """Models built by onnx's own helper (another writer than ours), one for each comparison, float and double, and with
    casts on the way from the input to the trees."""
    import onnx
    from onnx import TensorProto, helper
    rng = np.random.default_rng(5)
    X, _ = data(1, 800)

    def save_model(name, nodes, takes, columns, gives=TensorProto.FLOAT):
        graph = helper.make_graph(nodes, name, [helper.make_tensor_value_info('X', takes, [None, columns])],
                                  [helper.make_tensor_value_info('Y', gives, [None, 1])])
        double = any(a.name == 'nodes_values_as_tensor' for node in nodes for a in node.attribute)
        model = helper.make_model(graph, ir_version=7, opset_imports=[
            helper.make_opsetid('', 13), helper.make_opsetid('ai.onnx.ml', 3 if double else 1)])
        onnx.checker.check_model(model)
        onnx.save(model, os.path.join(HERE, name + '.onnx'))

    def save_rows(name, cuts):
        with open(os.path.join(HERE, name + '.rows.json'), 'w') as file:
            json.dump([[None if np.isnan(x) else float(x) for x in row] for row in probe(cuts)], file)

    for name, (modes, double, aggregate, takes_doubles, casts) in ONNX_MODELS.items():
        a = {key: [] for key in ('treeids', 'nodeids', 'featureids', 'modes', 'values', 'truenodeids', 'falsenodeids',
                                 'missing_value_tracks_true')}
        leaves = []
        for tree in range(6):
            mode = modes[tree % len(modes)]
            for node in range(15):  # a whole tree of depth 3
                leaf = node >= 7
                column = int(rng.integers(5))
                cut = float(np.nanquantile(X[:, column], rng.uniform(.1, .9)))
                a['treeids'].append(tree)
                a['nodeids'].append(node)
                a['featureids'].append(0 if leaf else column)
                a['modes'].append('LEAF' if leaf else mode)
                a['values'].append(0. if leaf else cut if double else float(np.float32(cut)))
                a['truenodeids'].append(0 if leaf else 2 * node + 1)
                a['falsenodeids'].append(0 if leaf else 2 * node + 2)
                a['missing_value_tracks_true'].append(0 if leaf else int(rng.integers(2)))
                if leaf:
                    leaves.append((tree, node, float(np.float32(rng.normal()))))
        attributes = {'nodes_' + key: value for key, value in a.items()}
        attributes.update(target_treeids=[t for t, _, _ in leaves], target_nodeids=[n for _, n, _ in leaves],
                          target_ids=[0] * len(leaves), target_weights=[w for _, _, w in leaves], base_values=[.75],
                          n_targets=1, aggregate_function=aggregate, post_transform='NONE')
        if double:
            for key in ('nodes_values', 'target_weights', 'base_values'):
                values = attributes.pop(key)
                attributes[key + '_as_tensor'] = helper.make_tensor(key, TensorProto.DOUBLE, [len(values)], values)
        ways = ['X'] + [f'X{i}' for i in range(len(casts))]
        nodes = [helper.make_node('Cast', [before], [after], to=getattr(TensorProto, cast))
                 for before, after, cast in zip(ways, ways[1:], casts)]
        nodes.append(helper.make_node('TreeEnsembleRegressor', [ways[-1]], ['Y'], domain='ai.onnx.ml', **attributes))
        save_model(name, nodes, TensorProto.DOUBLE if takes_doubles else TensorProto.FLOAT, 5)
        save_rows(name, [(f, v) for f, v, m in zip(a['featureids'], a['values'], a['modes']) if m != 'LEAF'][:25])

    def stump(before, after):
        return helper.make_node(
            'TreeEnsembleRegressor', [before], [after], domain='ai.onnx.ml', nodes_treeids=[0] * 3,
            nodes_nodeids=[0, 1, 2], nodes_featureids=[0] * 3, nodes_modes=['BRANCH_LEQ', 'LEAF', 'LEAF'],
            nodes_values=[2048.1, 0., 0.], nodes_truenodeids=[1, 0, 0], nodes_falsenodeids=[2, 0, 0],
            nodes_missing_value_tracks_true=[1, 0, 0], target_treeids=[0, 0], target_nodeids=[1, 2],
            target_ids=[0, 0], target_weights=[.3, 1.7], n_targets=1)

    def cast(before, after, to):
        return helper.make_node('Cast', [before], [after], to=getattr(TensorProto, to))

    # The trees' answer goes two ways, of which the first in the file leads nowhere.
    save_model('onnx-two-ways', [stump('X', 'sum'), helper.make_node('Sigmoid', ['sum'], ['nowhere']),
                                 helper.make_node('Exp', ['sum'], ['Y'])], TensorProto.FLOAT, 5)
    save_rows('onnx-two-ways', [(0, 2048.1)])
    save_model('refused-onnx-float16-before', [cast('X', 'short', 'FLOAT16'), cast('short', 'long', 'FLOAT'),
                                               stump('long', 'Y')], TensorProto.FLOAT, 5)
    save_model('refused-onnx-whole-numbers-before', [cast('X', 'whole', 'INT64'), cast('whole', 'float', 'FLOAT'),
                                                     stump('float', 'Y')], TensorProto.FLOAT, 5)
    save_model('refused-onnx-whole-numbers-taken', [cast('X', 'float', 'FLOAT'), stump('float', 'Y')],
               TensorProto.INT64, 5)
    for to in ('INT64', 'BOOL', 'FLOAT16'):
        save_model('refused-onnx-' + to.lower() + '-after', [stump('X', 'sum'), cast('sum', 'Y', to)],
                   TensorProto.FLOAT, 5, getattr(TensorProto, to))


def answer_onnx():
    """The second half of `onnx`, where onnxruntime is installed: answers to the rows that `onnx` wrote."""
    import onnxruntime
    for name in [*ONNX_MODELS, 'onnx-two-ways']:
        path = os.path.join(HERE, name + '.rows.json')
        loaded = json.load(open(path))
        rows = np.array(loaded['rows'] if isinstance(loaded, dict) else loaded, dtype=float)
        session = onnxruntime.InferenceSession(os.path.join(HERE, name + '.onnx'), providers=['CPUExecutionProvider'])
        takes_doubles = session.get_inputs()[0].type == 'tensor(double)'
        asked = rows.astype(np.float64 if takes_doubles else np.float32)
        save(name, rows, session.run(None, {'X': asked})[0], 'onnxruntime ' + onnxruntime.__version__)


if __name__ == '__main__':
    os.makedirs(HERE, exist_ok=True)
    {'xgboost': make_xgboost, 'lightgbm': make_lightgbm, 'onnx': make_onnx, 'onnxruntime': answer_onnx}[sys.argv[1]]()
