"""Rows of results of a Cox model with a ridge penalty."""

from scipy import special

from tasks.analysis.design_columns import DesignColumns
from tasks.analysis.table_asked import AskedOfTable, Row, ratio_of
from tasks.stats.cox_ridge import RidgeFit, cox_ridge


def ridge_rows(asked: AskedOfTable, design: DesignColumns, theta: float) -> list[Row]:
    """Return the shrunken hazard ratios with both standard errors, and the fit.

    The rows of `se_method: sandwich` repeat the estimate with R's `se2` and without interval.
    """
    rows, analysis = asked.rows, asked.analysis
    fit = cox_ridge(
        rows.time,
        rows.has_event,
        design.x,
        theta,
        ties=analysis.ties or "efron",
        strata=rows.labels(*(f"label_{name}" for name in analysis.strata)),
        entry=rows.entry,
    )
    method = f"cox_{fit.ties}_ridge"
    made = [_shrunken(asked, method, fit, name, i) for i, name in enumerate(design.names)]
    made += [_sandwich(row, float(fit.sandwich_std_error[i])) for i, row in enumerate(made)]
    made += [
        asked.row("log_likelihood", method=method, term="model", estimate=fit.log_likelihood),
        asked.row("log_likelihood", method=method, term="null", estimate=fit.log_likelihood_null),
        asked.row("log_likelihood", method=method, term="penalty", estimate=-fit.penalty),
    ]
    p = float(special.chdtrc(fit.effective_df, fit.likelihood_ratio))
    test = ("likelihood_ratio", fit.likelihood_ratio, fit.effective_df, p)
    return [*made, asked.test(*test, method=method, note="df1: effective degrees of freedom")]


def _shrunken(asked: AskedOfTable, method: str, fit: RidgeFit, name: str, i: int) -> Row:
    return asked.row(
        "hazard_ratio",
        method=method,
        term=name,
        estimate=ratio_of(fit.coef[i]),
        estimate_scale="ratio",
        std_error=float(fit.std_error[i]),
        se_scale="log",
        se_method="penalised information",
        ci_low=ratio_of(fit.ci_low[i]),
        ci_high=ratio_of(fit.ci_high[i]),
        ci_level=fit.level,
        ci_method="wald",
        statistic_name="z",
        statistic=float(fit.z[i]),
        p_value=float(fit.p_value[i]),
        note=f"ridge, theta {fit.theta:g}: shrunken towards 1",
    )


def _sandwich(row: Row, std_error: float) -> Row:
    without = ("ci_low", "ci_high", "ci_level", "ci_method", "statistic_name", "statistic")
    taken_out = dict.fromkeys((*without, "p_value"))
    return row | taken_out | {"std_error": std_error, "se_method": "sandwich"}
