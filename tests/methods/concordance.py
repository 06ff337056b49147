"""Concordance: Freireich's remissions and Rossi's arrests, numbers of R's survival 3.5-3."""

from tasks.stats.concordance import concordance
from tasks.stats.cox import cox, linear_predictor
from tests.methods.pages import Witness
from tests.reference.data import PLACEBO, RELAPSED, WEEKS, rossi

_GEHAN = "concordance(coxph(Surv(time, cens) ~ treat, gehan))"
_ROSSI = (
    "concordance(coxph(Surv(week, arrest) ~ fin + age + race + wexp + mar + paro + prio, rossi))"
)


def _of_rossi():
    r = rossi()
    x = r[["fin", "age", "race", "wexp", "mar", "paro", "prio"]].to_numpy(float)
    return concordance(r.week, r.arrest, linear_predictor(cox(r.week, r.arrest, x).coef, x))


WITNESSES = [
    Witness("C of remissions", _GEHAN, 0.690042075736325,
            lambda: concordance(WEEKS, RELAPSED, PLACEBO).estimate, 1e-10),
    Witness("its variance", _GEHAN, 0.0016921202238933,
            lambda: concordance(WEEKS, RELAPSED, PLACEBO).std_error ** 2, 1e-9),
    Witness("C of arrests", _ROSSI, 0.64032924709971, lambda: _of_rossi().estimate),
    Witness("its standard error", _ROSSI, 0.026658122772648, lambda: _of_rossi().std_error),
]  # fmt: skip
