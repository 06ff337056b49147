"""What a study is: one YAML file, one frozen, validated value, one canonical hash.

Each module holds the blocks of one part of the file, in the order of the file; `whole` puts them
together, `load` reads them.
"""

from tasks.core.spec.analyses import Adjustment, Analysis, Gate
from tasks.core.spec.base import Text
from tasks.core.spec.code_lists import CodeList
from tasks.core.spec.covariates import (
    AgeCovariate,
    ConditionCovariates,
    Covariate,
    NamedConditionCovariates,
    SexCovariate,
)
from tasks.core.spec.design import (
    NOT_SHOWN,
    SHOWN,
    Device,
    DeviceArm,
    DeviceShownDesign,
    DrugArm,
    EraAnchor,
    NewUserDesign,
    ZeroAnchor,
)
from tasks.core.spec.load import check_study, load_study, study_file, study_ids, study_schema
from tasks.core.spec.sources import LakeSource
from tasks.core.spec.study import Report, Study
from tasks.core.spec.whole import StudySpec

__all__ = [
    "NOT_SHOWN",
    "SHOWN",
    "Adjustment",
    "AgeCovariate",
    "Analysis",
    "CodeList",
    "ConditionCovariates",
    "Covariate",
    "Device",
    "DeviceArm",
    "DeviceShownDesign",
    "DrugArm",
    "EraAnchor",
    "Gate",
    "LakeSource",
    "NamedConditionCovariates",
    "NewUserDesign",
    "Report",
    "SexCovariate",
    "Study",
    "StudySpec",
    "Text",
    "ZeroAnchor",
    "check_study",
    "load_study",
    "study_file",
    "study_ids",
    "study_schema",
]
