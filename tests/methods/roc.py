"""ROC curves: twenty cases read by two devices, and what R pROC says of them."""

from tasks.stats.diagnostic.roc import Part, area, area_gap, areas
from tasks.stats.diagnostic.roc_curve import at_fixed, curve_of
from tests.methods.pages import Witness
from tests.reference import roc_small as small

_BOTH = small.both()
_APART = (*_BOTH[:2], _BOTH[2] + _BOTH[3] * small.TRUTH.size, _BOTH[3])


def _area(place, side):
    return lambda: getattr(area(areas(*_BOTH), place), side)


def _gap(rows, side):
    return lambda: getattr(area_gap(areas(*rows), 1, 0), side)


def _part(axis, is_corrected, place):
    return lambda: areas(*_BOTH, part=Part(axis, 0.7, 1.0, is_corrected)).estimates[place]


def _at(axis, at):
    return lambda: at_fixed(curve_of(small.A, small.TRUTH).line, axis, at)


_PAIRED = 'roc.test(A, B, paired = TRUE, method = "delong"), pROC 1.18.0'
_UNPAIRED = 'roc.test(A, B, paired = FALSE, method = "delong"), pROC 1.18.0'
WITNESSES = [
    Witness("area, device a", "auc(A), pROC 1.18.0", small.AREAS["a"], _area(1, "estimate"), 1e-9),
    Witness("area, device a, lower", "ci(A), pROC 1.18.0", small.LIMITS["a"][0], _area(1, "ci_low"), 1e-9),
    Witness("area, device b, upper", "ci(B), pROC 1.18.0", small.LIMITS["b"][1], _area(0, "ci_high"), 1e-9),
    Witness("covariance of areas", "cov(A, B), pROC 1.18.0", small.COVARIANCE, lambda: areas(*_BOTH).covariance[0, 1], 1e-9),
    Witness("difference, paired, Z", _PAIRED, small.PAIRED[0], _gap(_BOTH, "statistic"), 1e-9),
    Witness("difference, paired, p", _PAIRED, small.PAIRED[1], _gap(_BOTH, "p_value"), 1e-9),
    Witness("difference, unpaired, D", _UNPAIRED, small.UNPAIRED[0], _gap(_APART, "statistic"), 1e-9),
    Witness("difference, unpaired, df", _UNPAIRED, small.UNPAIRED[1], _gap(_APART, "df"), 1e-9),
    Witness("difference, unpaired, p", _UNPAIRED, small.UNPAIRED[2], _gap(_APART, "p_value"), 1e-9),
    *(
        Witness(
            f"part, {axis} 0.7 to 1{', McClish' if is_corrected else ''}",
            f'auc(A, partial.auc = c(1, .7), partial.auc.focus = "{axis[:2]}", partial.auc.correct = {str(is_corrected).upper()})',
            printed[0], _part(axis, is_corrected, 1), 1e-9,
        )
        for (axis, is_corrected), printed in small.PARTS.items()
    ),
    Witness("sensitivity at specificity 0.9", 'coords(A, .9, "specificity", "sensitivity")', small.AT_SPECIFICITY[0.9], _at("specificity", 0.9), 1e-9),
    Witness("specificity at sensitivity 0.9", 'coords(A, .9, "sensitivity", "specificity")', small.AT_SENSITIVITY[0.9], _at("sensitivity", 0.9), 1e-9),
]  # fmt: skip
