"""Fine and Gray's model of an analysis table, one row of results a term."""

from tasks.analysis.design_columns import design_columns
from tasks.analysis.table_asked import AskedOfTable, Row, ratio_of
from tasks.analysis.table_models import with_names
from tasks.core.errors import EstimationError
from tasks.stats.fine_gray import FineGrayFit, fine_gray
from tasks.stats.inference import chi_square_p

SE_METHODS = {"crr": "sandwich with estimated censoring", "finegray_cluster": "robust"}


def fine_gray_model(asked: AskedOfTable) -> list[Row]:
    """Return subdistribution hazard ratios of the event, and the fit of the model."""
    rows, analysis = asked.rows, asked.analysis
    design = design_columns(rows)
    try:
        fit = fine_gray(
            rows.time,
            rows.event,
            design.x,
            analysis.variant or "finegray_cluster",
            weights=rows.weights,
            cluster=rows.labels(f"label_{analysis.cluster}") if analysis.cluster else None,
            strata=rows.labels(*(f"label_{name}" for name in analysis.strata)),
        )
    except EstimationError as exc:
        raise with_names(exc, design) from None
    method = f"fine_gray_{fit.variant}"
    p = len(design.names)
    return [
        *(
            asked.row(
                "subdistribution_hazard_ratio", method=method, term=name, **ratio_values(fit, i)
            )
            for i, name in enumerate(design.names)
        ),
        asked.row("log_likelihood", method=method, term="model", estimate=fit.log_likelihood),
        asked.row("log_likelihood", method=method, term="null", estimate=fit.log_likelihood_null),
        asked.test(
            "wald", fit.wald_statistic, p, chi_square_p(fit.wald_statistic, p), method=method
        ),
    ]


def ratio_values(fit: FineGrayFit, i: int) -> dict[str, object]:
    """Return the columns of the row of one subdistribution hazard ratio."""
    return {
        "estimate": ratio_of(fit.coef[i]),
        "estimate_scale": "ratio",
        "std_error": float(fit.std_error[i]),
        "se_scale": "log",
        "se_method": SE_METHODS[fit.variant],
        "ci_low": ratio_of(fit.ci_low[i]),
        "ci_high": ratio_of(fit.ci_high[i]),
        "ci_level": fit.level,
        "ci_method": "wald",
        "statistic_name": "z",
        "statistic": float(fit.z[i]),
        "p_value": float(fit.p_value[i]),
        "n_clusters": fit.n_clusters,
    }
