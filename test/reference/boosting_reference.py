"""Trains what scikit-learn, XGBoost and LightGBM offer on a frame given as JSON on standard input and prints the losses
on its test rows, for test/training/boosting-accuracy.test.ts. Those libraries that are not installed are left out.

{"columns": [[...]], "target": [...], "censored": [...], "test_from_row": n, "options": {"trees", "leaves", "rate",
"min_rows", "l2", "aft_scale"}}, null = missing.
"""
import json
import sys
import warnings

import numpy as np

warnings.filterwarnings('ignore')
given = json.load(sys.stdin)
o = given['options']
X = np.array(given['columns'], dtype=float).T.copy()
y = np.array(given['target'])
censored = np.array(given['censored'], dtype=bool)
n = given['test_from_row']
done = ~censored
train, test = np.arange(len(y)) < n, np.arange(len(y)) >= n
fit, score = train & done, test & done  # broken-off moves: only for the censored loss
scores = {}


def keep(library, loss, prediction):
    rest = y[score] - prediction
    value = {'squared': lambda: np.sqrt(np.mean(rest ** 2)), 'l1': lambda: np.mean(np.abs(rest)),
             'quantile': lambda: np.mean(np.where(rest >= 0, .9 * rest, -.1 * rest))}[loss]()
    scores.setdefault(library, {})[loss] = float(value)


try:
    import sklearn
    from sklearn.ensemble import HistGradientBoostingRegressor
    for loss, name in (('squared', 'squared_error'), ('l1', 'absolute_error'), ('quantile', 'quantile')):
        model = HistGradientBoostingRegressor(
            loss=name, max_iter=o['trees'], max_leaf_nodes=o['leaves'], learning_rate=o['rate'],
            min_samples_leaf=o['min_rows'], l2_regularization=o['l2'], early_stopping=False,
            **({'quantile': .9} if loss == 'quantile' else {}))
        keep('scikit-learn ' + sklearn.__version__, loss, model.fit(X[fit], y[fit]).predict(X[score]))
except ImportError:
    pass

try:
    import xgboost as xgb
    from scipy.stats import gumbel_l, logistic, norm
    name = 'XGBoost ' + xgb.__version__
    params = dict(max_depth=0, max_leaves=o['leaves'], grow_policy='lossguide', tree_method='hist', max_bin=255,
                  eta=o['rate'], min_child_weight=o['min_rows'], nthread=1, **{'lambda': o['l2']})
    for loss, objective in (('squared', 'reg:squarederror'), ('l1', 'reg:absoluteerror')):
        booster = xgb.train({**params, 'objective': objective}, xgb.DMatrix(X[fit], y[fit]), o['trees'])
        keep(name, loss, booster.predict(xgb.DMatrix(X[score])))
    if censored.any():
        # Their likelihood is ours divided by scale squared: so are its curvatures, and what is weighed against them.
        s2 = o['aft_scale'] ** 2
        for distribution in ('normal', 'logistic', 'extreme'):
            matrix = xgb.DMatrix(X[train])
            matrix.set_float_info('label_lower_bound', np.exp(y[train]))
            matrix.set_float_info('label_upper_bound', np.where(censored[train], np.inf, np.exp(y[train])))
            booster = xgb.train({**params, 'objective': 'survival:aft', 'aft_loss_distribution': distribution,
                                 'aft_loss_distribution_scale': o['aft_scale'], 'lambda': o['l2'] / s2,
                                 'min_child_weight': o['min_rows'] / s2}, matrix, o['trees'])
            location = np.log(booster.predict(xgb.DMatrix(X[test])))
            z = (y[test] - location) / o['aft_scale']
            d = {'normal': norm, 'logistic': logistic, 'extreme': gumbel_l}[distribution]
            likelihood = np.where(censored[test], d.logsf(z), d.logpdf(z) - np.log(o['aft_scale']))
            scores[name]['aft-' + distribution] = float(-np.mean(likelihood))
except ImportError:
    pass

try:
    import lightgbm as lgb
    for loss, objective in (('squared', 'regression'), ('l1', 'regression_l1'), ('quantile', 'quantile')):
        booster = lgb.train(dict(objective=objective, alpha=.9, num_leaves=o['leaves'], learning_rate=o['rate'],
                                 min_data_in_leaf=o['min_rows'], lambda_l2=o['l2'], verbose=-1, num_threads=1,
                                 deterministic=True), lgb.Dataset(X[fit], y[fit]), o['trees'])
        keep('LightGBM ' + lgb.__version__, loss, booster.predict(X[score]))
except ImportError:
    pass

print(json.dumps(scores))
