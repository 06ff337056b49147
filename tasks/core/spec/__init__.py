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
    Arm,
    CohortArm,
    CohortDesign,
    CohortOutcome,
    ConditionOutcome,
    Design,
    Device,
    DeviceArm,
    DeviceShownDesign,
    DrugArm,
    EraAnchor,
    NewUserDesign,
    Outcome,
    SpanAnchor,
    ZeroAnchor,
)
from tasks.core.spec.estimands import (
    Estimand,
    IntercurrentEvent,
    Observability,
    Strategies,
    StudyPopulation,
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
    "Arm",
    "CodeList",
    "CohortArm",
    "CohortDesign",
    "CohortOutcome",
    "ConditionCovariates",
    "ConditionOutcome",
    "Covariate",
    "Design",
    "Device",
    "DeviceArm",
    "DeviceShownDesign",
    "DrugArm",
    "EraAnchor",
    "Estimand",
    "Gate",
    "IntercurrentEvent",
    "LakeSource",
    "NamedConditionCovariates",
    "NewUserDesign",
    "Observability",
    "Outcome",
    "Report",
    "SexCovariate",
    "SpanAnchor",
    "Strategies",
    "Study",
    "StudyPopulation",
    "StudySpec",
    "Text",
    "ZeroAnchor",
    "check_study",
    "load_study",
    "study_file",
    "study_ids",
    "study_schema",
]
