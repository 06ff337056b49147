"""One task of one maker, in a process of its own: prints seconds and the memory it grew by."""

import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse

MANY = 1_000_000
SPARSE = "propensity, 5,000 sparse, L1 by ten folds"
DELONG = "two paired areas under the curve, DeLong"
RESAMPLED = "two paired areas, 2,000 resamples"
BOOTSTRAP = "Cox, 10 covariates, 1,000 resamples"


@dataclass(frozen=True)
class Maker:
    """A call that takes the data of a task, and the most rows at which it is tried.

    `ready` makes what the call works on from the data, before the clock runs.
    """

    call: Callable
    most: int = MANY
    ready: Callable = lambda data: data


class Data:
    """Drawn follow-up in whole days, ten or fifty covariates, arms, weights, sites, causes."""

    def __init__(self, n, p=10):
        rng = np.random.default_rng(20_261_125)
        self.x = rng.normal(size=(n, p))
        hazard = np.exp(self.x[:, :10] @ np.linspace(-0.5, 0.5, 10))
        self.time = np.ceil(rng.exponential(365 / hazard)).clip(1, 1000)
        self.event = (self.time < 1000) & (rng.random(n) < 0.7)
        self.arm = rng.random(n) < 1 / (1 + np.exp(-self.x[:, :10] @ np.linspace(-0.3, 0.3, 10)))
        self.weight = 0.5 + rng.random(n)
        self.site = rng.integers(0, 20, n)
        self.cause = np.where(self.event, 1 + (rng.random(n) < 0.4), 0)

    @cached_property
    def sparse(self):
        """Zeros and ones of 5,000 covariates, 51 a row, and an arm that forty of them move."""
        n, p, filled = self.time.size, 5_000, 51
        rng = np.random.default_rng(20_261_126)
        places = np.repeat(np.arange(n), filled), rng.integers(0, p, n * filled)
        matrix = sparse.csr_matrix((np.ones(n * filled), places), (n, p))
        matrix.data[:] = 1.0
        logit = matrix[:, :40] @ np.linspace(-1, 1, 40)
        return matrix, rng.random(n) < 1 / (1 + np.exp(-logit))

    @property
    def read_twice(self):
        """Two scores of the same cases, one under the other: score, arm as the truth, case, reader."""
        n = self.arm.size
        scores = np.concatenate([self.x[:, 9], self.x[:, 8]])
        return scores, np.tile(self.arm, 2), np.tile(np.arange(n), 2), np.repeat([0, 1], n)

    def frame(self, *more):
        made = pd.DataFrame(self.x, columns=[f"x{i}" for i in range(self.x.shape[1])])
        made = made.assign(t=self.time, e=self.event)
        return made.assign(**{name: getattr(self, name) for name in more})


def _ours(task):
    from tasks.stats.bootstrap import Plan
    from tasks.stats.competing_risks import cumulative_incidence
    from tasks.stats.cox import cox
    from tasks.stats.cox_bootstrap import cox_bootstrap
    from tasks.stats.diagnostic.roc import WHOLE, area_gap, areas
    from tasks.stats.diagnostic.roc_bootstrap import area_of, resampled_curves
    from tasks.stats.gray_test import gray_test
    from tasks.stats.log_rank import log_rank
    from tasks.stats.logistic import logistic
    from tasks.stats.matching import match_nearest
    from tasks.stats.sparse_propensity import sparse_score
    from tasks.stats.survival import kaplan_meier, restricted_mean

    return {
        "Kaplan-Meier": lambda d: kaplan_meier(d.time, d.event),
        "log-rank": lambda d: log_rank(d.time, d.event, d.arm),
        "Aalen-Johansen with variance": lambda d: cumulative_incidence(d.time, d.cause),
        "RMST with standard error": lambda d: restricted_mean(d.time, d.event, 700.0),
        "Cox, 10 covariates": lambda d: cox(d.time, d.event, d.x),
        "Cox, 50 covariates": lambda d: cox(d.time, d.event, d.x),
        "Cox, weights and robust": lambda d: cox(
            d.time, d.event, d.x, weights=d.weight, robust=True
        ),
        "Cox, 20 strata": lambda d: cox(d.time, d.event, d.x, strata=d.site),
        BOOTSTRAP: lambda d: cox_bootstrap(d.time, d.event, d.x, Plan(1000, 1, "bench")),
        "propensity, 50 dense": lambda d: logistic(d.x, d.arm),
        SPARSE: lambda d: sparse_score(*d.sparse),
        DELONG: lambda d: area_gap(areas(*d.read_twice), 1, 0),
        RESAMPLED: lambda d: resampled_curves(
            *d.read_twice, [area_of(WHOLE)], Plan(2000, 1, "bench")
        ),
        "Gray's test": lambda d: gray_test(d.time, d.cause, d.arm),
        "matching 1:1, caliper": lambda d: match_nearest(
            d.x[:, :10] @ np.linspace(-0.3, 0.3, 10), d.arm
        ),
    }[task]


OURS = {
    task: Maker(lambda d, task=task: _ours(task)(d))
    for task in (
        "Kaplan-Meier",
        "log-rank",
        "Aalen-Johansen with variance",
        "Gray's test",
        "RMST with standard error",
        "Cox, 10 covariates",
        "Cox, 50 covariates",
        "Cox, weights and robust",
        "Cox, 20 strata",
        "propensity, 50 dense",
        "matching 1:1, caliper",
        DELONG,
    )
}
OURS[RESAMPLED] = Maker(lambda d: _ours(RESAMPLED)(d), 10_000)
OURS[SPARSE] = Maker(lambda d: _ours(SPARSE)(d), 10_000)
OURS[BOOTSTRAP] = Maker(lambda d: _ours(BOOTSTRAP)(d), 10_000)
FIFTY = ("Cox, 50 covariates", "propensity, 50 dense")


def _lifelines():
    import lifelines

    return lifelines


def _lifelines_cox(d, **more):
    return _lifelines().CoxPHFitter().fit(d, "t", "e", **more)


def _lifelines_rmst(d):
    from lifelines.utils import restricted_mean_survival_time

    fitted = _lifelines().KaplanMeierFitter().fit(d.time, d.event)
    return restricted_mean_survival_time(fitted, t=700.0)


def _lifelines_log_rank(d):
    from lifelines.statistics import logrank_test

    return logrank_test(d.time[d.arm], d.time[~d.arm], d.event[d.arm], d.event[~d.arm])


def _sksurv_outcome(d):
    from sksurv.util import Surv

    return d, Surv.from_arrays(d.event, d.time)


def _sksurv_km(d):
    from sksurv.nonparametric import kaplan_meier_estimator

    return kaplan_meier_estimator(d.event, d.time, conf_type="log-log")


def _sksurv_log_rank(ready):
    from sksurv.compare import compare_survival

    return compare_survival(ready[1], ready[0].arm)


def _sksurv_aj(d):
    from sksurv.nonparametric import cumulative_incidence_competing_risks

    return cumulative_incidence_competing_risks(d.cause, d.time)


def _sksurv_cox(ready):
    from sksurv.linear_model import CoxPHSurvivalAnalysis

    return CoxPHSurvivalAnalysis(ties="efron").fit(ready[0].x, ready[1])


def _statsmodels_km(d):
    from statsmodels.duration.survfunc import SurvfuncRight

    return SurvfuncRight(d.time, d.event)


def _statsmodels_log_rank(d):
    from statsmodels.duration.survfunc import survdiff

    return survdiff(d.time, d.event, d.arm)


def _statsmodels_cox(d):
    from statsmodels.duration.hazard_regression import PHReg

    return PHReg(d.time, d.x, status=d.event, ties="efron").fit()


def _statsmodels_logit(d):
    from statsmodels.api import Logit, add_constant

    return Logit(d.arm.astype(float), add_constant(d.x)).fit(disp=0)


def _sklearn_logit(d):
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=np.inf, solver="newton-cholesky").fit(d.x, d.arm)


def _sklearn_l1(d):
    """The same folds and as many penalties; liblinear penalises the intercept, too."""
    from sklearn.linear_model import LogisticRegressionCV

    fit = LogisticRegressionCV(
        Cs=30, cv=10, l1_ratios=(1.0,), solver="liblinear", scoring="neg_log_loss"
    )
    return fit.fit(*d.sparse)


def _ours_aj(d):
    return _ours("Aalen-Johansen with variance")(d)


def _sklearn_match(d):
    """Nearest neighbours by a tree, then the nearest free one in a loop: the plain way."""
    from sklearn.neighbors import KDTree

    logit = (d.x[:, :10] @ np.linspace(-0.3, 0.3, 10))[:, None]
    controls, taken = np.flatnonzero(~d.arm), set()
    _, near = KDTree(logit[controls]).query(logit[d.arm], k=20)
    for row in near:
        taken.add(next((c for c in row if c not in taken), -1))
    return taken


PEERS = {
    "Kaplan-Meier": {
        "lifelines": Maker(lambda d: _lifelines().KaplanMeierFitter().fit(d.time, d.event)),
        "scikit-survival": Maker(_sksurv_km),
        "statsmodels": Maker(_statsmodels_km),
    },
    "log-rank": {
        "lifelines": Maker(_lifelines_log_rank),
        "scikit-survival": Maker(_sksurv_log_rank, ready=_sksurv_outcome),
        "statsmodels": Maker(_statsmodels_log_rank),
    },
    "Aalen-Johansen with variance": {
        "lifelines": Maker(
            lambda d: _lifelines().AalenJohansenFitter(seed=1).fit(d.time, d.cause, 1), 100_000
        ),
        "scikit-survival (no variance)": Maker(_sksurv_aj),
    },
    "RMST with standard error": {"lifelines (no variance)": Maker(_lifelines_rmst)},
    "Cox, 10 covariates": {
        "lifelines": Maker(_lifelines_cox, ready=lambda d: d.frame()),
        "scikit-survival": Maker(_sksurv_cox, 100_000, _sksurv_outcome),
        "statsmodels": Maker(_statsmodels_cox, 100_000),
    },
    "Cox, 50 covariates": {
        "lifelines": Maker(_lifelines_cox, 100_000, lambda d: d.frame()),
        "statsmodels": Maker(_statsmodels_cox, 10_000),
    },
    "Cox, weights and robust": {
        "lifelines": Maker(
            lambda d: _lifelines_cox(d, weights_col="weight", robust=True),
            10_000,
            lambda d: d.frame("weight"),
        ),
        "ours without": Maker(lambda d: _ours("Cox, 10 covariates")(d)),
    },
    "Cox, 20 strata": {
        "lifelines": Maker(
            lambda d: _lifelines_cox(d, strata=["site"]), 100_000, lambda d: d.frame("site")
        ),
    },
    "propensity, 50 dense": {
        "scikit-learn": Maker(_sklearn_logit),
        "statsmodels": Maker(_statsmodels_logit, 100_000),
    },
    SPARSE: {"scikit-learn, liblinear": Maker(_sklearn_l1, 10_000)},
    "Gray's test": {"our Aalen-Johansen": Maker(_ours_aj)},
    "matching 1:1, caliper": {"tree and loop": Maker(_sklearn_match, 100_000)},
}

_CURVES = "roc(d$arm, d$x9, direction = '<'), roc(d$arm, d$x8, direction = '<')"
R_CALLS = {
    DELONG: f"roc.test({_CURVES}, method = 'delong')",
    RESAMPLED: f"roc.test({_CURVES}, method = 'bootstrap', boot.n = 2000, progress = 'none')",
    "Kaplan-Meier": "survfit(Surv(t, e) ~ 1, d)",
    "log-rank": "survdiff(Surv(t, e) ~ arm, d)",
    "Aalen-Johansen with variance": "survfit(Surv(t, factor(cause)) ~ 1, d)",
    "RMST with standard error": "print(survfit(Surv(t, e) ~ 1, d), rmean = 700)",
    "Cox, 10 covariates": "coxph(Surv(t, e) ~ {x}, d)",
    "Cox, 50 covariates": "coxph(Surv(t, e) ~ {x}, d)",
    "Cox, 20 strata": "coxph(Surv(t, e) ~ {x} + strata(site), d)",
    BOOTSTRAP: (
        "for (i in 1:1000) {{m <- rmultinom(1, nrow(d), rep(1, nrow(d)))[, 1]; s <- d[m > 0, ];"
        " s$m <- m[m > 0]; coxph(Surv(t, e) ~ {x}, s, weights = m)}}"
    ),
    "propensity, 50 dense": "glm(arm ~ {x}, binomial, d)",
}
"""What R is asked, with packages survival and pROC; {x} are the covariates."""


R_PACKAGES = {DELONG: "pROC", RESAMPLED: "pROC"}
"""What a call needs besides survival."""


@cache
def r_is_installed(package="survival"):
    """Whether R is there, with a package."""
    if shutil.which("Rscript") is None:
        return False
    asked = f"quit(status = !requireNamespace('{package}', quietly = TRUE))"
    return subprocess.run(["Rscript", "-e", asked], check=False).returncode == 0


def measure(task, name, n):
    """Seconds and mebibytes of one call on data drawn before the clock runs."""
    data = Data(n, 50 if task in FIFTY else 10)
    if name == "R":
        return by_r(task, data)
    maker = OURS[task] if name == "ours" else PEERS[task][name]
    ready = maker.ready(data)
    if task == SPARSE:
        _ = data.sparse
    maker.call(maker.ready(Data(500, data.x.shape[1])))  # imports and compilation are not timed
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    maker.call(ready)
    seconds = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"seconds": seconds, "mib": (after - before) / 1024}


def by_r(task, data):
    """The same call in R: data by a file, timed inside R."""
    columns = [f"x{i}" for i in range(data.x.shape[1])]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "d.csv"
        data.frame("arm", "site", "cause").astype(float).to_csv(file, index=False)
        call = R_CALLS[task].format(x=" + ".join(columns))
        script = (
            f"suppressMessages(library({R_PACKAGES.get(task, 'survival')})); d <- read.csv('{file}'); invisible(gc(reset = TRUE));"
            f"b <- sum(gc()[, 6]); s <- system.time(invisible(capture.output({call})))[['elapsed']];"
            "cat('\\n', s, sum(gc()[, 6]) - b, '\\n')"
        )
        done = subprocess.run(["Rscript", "-e", script], capture_output=True, text=True, check=True)
    seconds, mib = done.stdout.split()[-2:]
    return {"seconds": float(seconds), "mib": float(mib)}


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], sys.argv[2], int(sys.argv[3]))))
