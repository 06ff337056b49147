"""What a study is: one YAML file, one frozen, validated value, one canonical hash.

Each module holds the blocks of one part of the file, in the order of the file; `whole` puts them
together, `load` reads them.
"""

from tasks.core.spec.analyses import Adjustment, Analysis, Gate
from tasks.core.spec.base import Text
from tasks.core.spec.characterisation import EVERYBODY, Characterisation
from tasks.core.spec.code_lists import CodeList
from tasks.core.spec.covariates import (
    AgeCovariate,
    CalendarCovariate,
    CharlsonCovariate,
    CohortCovariate,
    ConceptCovariates,
    ConditionCovariates,
    Covariate,
    DeviceImageCovariate,
    MeasurementCovariates,
    NamedConditionCovariates,
    NamedCovariates,
    SexCovariate,
    SiteCovariate,
    VisitCovariate,
)
from tasks.core.spec.design import (
    NOT_SHOWN,
    SHOWN,
    Arm,
    CohortArm,
    CohortDesign,
    CohortOutcome,
    ConditionOutcome,
    ControlExposures,
    Design,
    Device,
    DeviceArm,
    DeviceShownDesign,
    DrugArm,
    EraAnchor,
    GraceDesign,
    NewUserDesign,
    Outcome,
    SpanAnchor,
    StrategyArm,
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
    "EVERYBODY",
    "NOT_SHOWN",
    "SHOWN",
    "Adjustment",
    "AgeCovariate",
    "Analysis",
    "Arm",
    "CalendarCovariate",
    "Characterisation",
    "CharlsonCovariate",
    "CodeList",
    "CohortArm",
    "CohortCovariate",
    "CohortDesign",
    "CohortOutcome",
    "ConceptCovariates",
    "ConditionCovariates",
    "ConditionOutcome",
    "ControlExposures",
    "Covariate",
    "Design",
    "Device",
    "DeviceArm",
    "DeviceImageCovariate",
    "DeviceShownDesign",
    "DrugArm",
    "EraAnchor",
    "Estimand",
    "Gate",
    "GraceDesign",
    "IntercurrentEvent",
    "LakeSource",
    "MeasurementCovariates",
    "NamedConditionCovariates",
    "NamedCovariates",
    "NewUserDesign",
    "Observability",
    "Outcome",
    "Report",
    "SexCovariate",
    "SiteCovariate",
    "SpanAnchor",
    "Strategies",
    "StrategyArm",
    "Study",
    "StudyPopulation",
    "StudySpec",
    "Text",
    "VisitCovariate",
    "ZeroAnchor",
    "check_study",
    "load_study",
    "study_file",
    "study_ids",
    "study_schema",
]
