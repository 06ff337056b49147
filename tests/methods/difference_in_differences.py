"""Roll-outs: csdid 0.4.3 (the Python port of R's did) on the drawn panel of the tests."""

from tasks.stats.staggered_adoption import aggregated, group_time_effects, panel
from tests.methods.pages import Witness
from tests.reference.outcome_data import roll_out

_ROWS = roll_out()
_PANEL = panel(_ROWS.site, _ROWS.time - 1, _ROWS.value, _ROWS.on)
_WHOLE = {
    (controls, effect.name): effect
    for controls in ("never_treated", "not_yet_treated")
    for effect in aggregated(_PANEL, group_time_effects(_PANEL, controls))
    if effect.at is None and effect.cohort is None
}
_CALL = "ATTgt(control_group=['{}']).fit('reg').aggte('{}')"


def _pair(controls, group, name, estimate, error):
    effect, call = _WHOLE[controls, name], _CALL.format(group, name)
    return [
        Witness(f"{name}, {controls}", call, estimate, lambda: effect.estimate),
        Witness("its standard error", call, error, lambda: effect.std_error),
    ]


WITNESSES = [
    *_pair("never_treated", "nevertreated", "simple", 1.862184043816791, 0.2252734671899099),
    *_pair("never_treated", "nevertreated", "dynamic", 2.101814658480962, 0.25318953307549374),
    *_pair("not_yet_treated", "notyettreated", "simple", 1.9053250971841773, 0.2442481321561278),
    *_pair("not_yet_treated", "notyettreated", "group", 1.7943356997032116, 0.2795168659758684),
]
