"""Log-rank tests: Freireich's trial and Rossi's arrests; R's survival 3.5-3, and lifelines."""

from lifelines.statistics import multivariate_logrank_test

from tasks.stats.log_rank import log_rank
from tests.methods.pages import Witness
from tests.reference.data import PLACEBO, RELAPSED, WEEKS, rossi

_R = rossi()
_DECADE = (_R.age // 10).to_numpy()


def _ours(**more):
    return log_rank(_R.week, _R.arrest, _DECADE, **more).statistic


def _theirs(**more):
    found = multivariate_logrank_test(_R.week, _DECADE, _R.arrest, **more)
    return float(found.test_statistic)


_NAME = "lifelines multivariate_logrank_test(weightings='{}')"

WITNESSES = [
    Witness(
        "Freireich, two groups", "survdiff(Surv(time, cens) ~ treat, gehan)", 16.7929409892165,
        lambda: log_rank(WEEKS, RELAPSED, PLACEBO).statistic,
    ),
    Witness(
        "four groups of age", "survdiff(Surv(week, arrest) ~ I(age %/% 10), rossi)",
        28.0020512908802, _ours,
    ),
    Witness(
        "strata, rho 1", "survdiff(Surv(week, arrest) ~ fin + strata(wexp), rossi, rho = 1)",
        4.0511340319954,
        lambda: log_rank(_R.week, _R.arrest, _R.fin, strata=_R.wexp, rho=1).statistic,
    ),
    Witness(
        "Gehan", _NAME.format("wilcoxon"), _theirs(weightings="wilcoxon"),
        lambda: _ours(weighting="gehan"),
    ),
    Witness(
        "Tarone-Ware", _NAME.format("tarone-ware"), _theirs(weightings="tarone-ware"),
        lambda: _ours(weighting="tarone_ware"),
    ),
    Witness(
        "Peto-Peto", _NAME.format("peto"), _theirs(weightings="peto"),
        lambda: _ours(weighting="peto_peto"),
    ),
    Witness(
        "rho 0.5, gamma 1", "lifelines, weightings='fleming-harrington', p=0.5, q=1",
        _theirs(weightings="fleming-harrington", p=0.5, q=1), lambda: _ours(rho=0.5, gamma=1),
    ),
]  # fmt: skip
