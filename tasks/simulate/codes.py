"""Codes that the simulated hospitals use: OMOP concepts beside the KCD, EDI and LOINC of sources.

Concept ids from 2,000,000,000 on are local to the simulation, as OMOP reserves them.
"""

from dataclasses import dataclass

LOCAL = 2_000_000_000


@dataclass(frozen=True, slots=True)
class Code:
    """One concept with the code of the source and its name in both languages."""

    concept_id: int
    source: str
    name: str
    korean: str
    domain: str


@dataclass(frozen=True, slots=True)
class Comorbidity:
    """A baseline condition: its code, how common it is, and its weight in the severity index."""

    code: Code
    log_odds: float
    per_decade: float
    weight: float


@dataclass(frozen=True, slots=True)
class Laboratory:
    """A measurement: unit, and mean and SD of its values, moved by the severity index."""

    code: Code
    unit: str
    unit_concept_id: int
    mean: float
    sd: float
    per_severity: float
    low: float
    high: float


def _condition(concept_id: int, source: str, name: str, korean: str) -> Code:
    return Code(concept_id, source, name, korean, "Condition")


COMORBIDITIES = (
    Comorbidity(_condition(255573, "J44.9", "Chronic obstructive pulmonary disease",
                           "만성 폐쇄성 폐질환"), -2.2, 0.35, 0.55),
    Comorbidity(_condition(316139, "I50.9", "Heart failure", "심부전"), -2.6, 0.45, 0.60),
    Comorbidity(_condition(201826, "E11.9", "Type 2 diabetes mellitus", "2형 당뇨병"),
                -1.3, 0.20, 0.25),
    Comorbidity(_condition(320128, "I10", "Essential hypertension", "본태성 고혈압"),
                -0.5, 0.40, 0.10),
    Comorbidity(_condition(443392, "C80.9", "Malignant neoplastic disease", "악성 신생물"),
                -2.2, 0.25, 0.65),
    Comorbidity(_condition(255848, "J18.9", "Pneumonia", "폐렴"), -2.3, 0.15, 0.45),
    Comorbidity(_condition(46271022, "N18.9", "Chronic kidney disease", "만성 콩팥병"),
                -2.5, 0.30, 0.40),
    Comorbidity(_condition(317009, "J45.9", "Asthma", "천식"), -2.4, 0.05, 0.30),
    Comorbidity(_condition(4185932, "I25.9", "Ischemic heart disease", "허혈성 심장질환"),
                -2.0, 0.40, 0.35),
    Comorbidity(_condition(381316, "I63.9", "Cerebrovascular accident", "뇌경색"),
                -2.6, 0.35, 0.35),
)  # fmt: skip
RESPIRATORY_FAILURE = _condition(319049, "J96.0", "Acute respiratory failure", "급성 호흡부전")
OTHER_CONDITIONS = (
    _condition(318800, "K21.9", "Gastroesophageal reflux disease", "위-식도 역류병"),
    _condition(194133, "M54.5", "Low back pain", "아래허리통증"),
    _condition(378253, "R51", "Headache", "두통"),
    _condition(133834, "L20.9", "Atopic dermatitis", "아토피피부염"),
    _condition(80180, "M19.9", "Osteoarthritis", "관절증"),
    _condition(432867, "E78.5", "Hyperlipidemia", "고지질혈증"),
    _condition(440383, "F32.9", "Depressive disorder", "우울에피소드"),
    _condition(436962, "G47.0", "Insomnia", "불면증"),
    _condition(196523, "A09.9", "Diarrhea", "설사"),
    _condition(437663, "R50.9", "Fever", "열"),
    _condition(254761, "R05", "Cough", "기침"),
    _condition(312437, "R06.0", "Dyspnea", "호흡곤란"),
    _condition(77670, "R07.4", "Chest pain", "흉통"),
    _condition(81902, "N39.0", "Urinary tract infectious disease", "요로감염"),
    _condition(80502, "M81.9", "Osteoporosis", "골다공증"),
    _condition(374375, "H61.2", "Impacted cerumen", "귀지떡"),
)
NEGATIVE_CONTROLS = tuple(
    _condition(
        LOCAL + 500 + i, f"Z99.{i:02d}", f"Simulated negative control {i:02d}", f"음성대조 {i:02d}"
    )
    for i in range(1, 61)
)
DRUGS = tuple(
    Code(concept_id, source, name, korean, "Drug")
    for concept_id, source, name, korean in (
        (1503297, "642100010", "metformin", "메트포르민정"),
        (1545958, "642100020", "atorvastatin", "아토르바스타틴정"),
        (1332418, "642100030", "amlodipine", "암로디핀정"),
        (1154343, "642100040", "albuterol", "살부타몰흡입제"),
        (1713332, "642100050", "amoxicillin", "아목시실린캡슐"),
        (1125315, "642100060", "acetaminophen", "아세트아미노펜정"),
        (1367500, "642100070", "losartan", "로사르탄정"),
        (1112807, "642100080", "aspirin", "아스피린장용정"),
        (923645, "642100090", "omeprazole", "오메프라졸캡슐"),
        (956874, "642100100", "furosemide", "푸로세미드정"),
    )
)
LABORATORIES = tuple(
    Laboratory(Code(ident, loinc, name, korean, "Measurement"), unit, unit_id, *numbers)
    for ident, loinc, name, korean, unit, unit_id, *numbers in (
        (40762499, "59408-5", "Oxygen saturation by pulse oximetry", "산소포화도",
         "%", 8554, 96.5, 1.4, -0.6, 95.0, 100.0),
        (3020460, "1988-5", "C reactive protein", "C반응단백",
         "mg/L", 8751, 14.0, 6.0, 3.0, 0.0, 5.0),
        (3000905, "6690-2", "Leukocytes", "백혈구", "10*3/uL", 8848, 7.8, 2.0, 0.5, 4.0, 10.0),
        (3000963, "718-7", "Hemoglobin", "혈색소", "g/dL", 8713, 13.2, 1.4, -0.4, 12.0, 17.0),
        (3004501, "2345-7", "Glucose", "혈당", "mg/dL", 8840, 112.0, 22.0, 6.0, 70.0, 100.0),
        (3016723, "2160-0", "Creatinine", "크레아티닌", "mg/dL", 8840, 1.0, 0.2, 0.1, 0.5, 1.2),
        (3027018, "8867-4", "Heart rate", "심박수", "/min", 8541, 80.0, 11.0, 4.0, 60.0, 100.0),
        (3020891, "8310-5", "Body temperature", "체온", "Cel", 586323, 36.8, 0.4, 0.1, 36.0, 37.5),
    )
)  # fmt: skip
CHEST_X_RAY = Code(4163872, "G2101", "Plain chest X-ray", "흉부 X선촬영", "Procedure")
CHEST_CT = Code(
    4058335, "HA434", "Computed tomography of chest", "흉부 전산화단층촬영", "Procedure"
)
EQ5D_DIMENSIONS = tuple(
    Code(LOCAL + 101 + i, f"EQ5D5L-{short}", f"EQ-5D-5L {name}", korean, "Observation")
    for i, (short, name, korean) in enumerate(
        (
            ("MO", "mobility", "운동능력"),
            ("SC", "self-care", "자기관리"),
            ("UA", "usual activities", "일상활동"),
            ("PD", "pain or discomfort", "통증·불편"),
            ("AD", "anxiety or depression", "불안·우울"),
        )
    )
)
SMOKING = Code(LOCAL + 110, "SMOKING", "Smoking status", "흡연상태", "Observation")
AI_REVIEW_FEE = "SIM310"
"""Source code of the AI add-on fee on a cost row; the amount is the 2023 fee of its group."""

ALL_CODES = (
    *(item.code for item in COMORBIDITIES),
    RESPIRATORY_FAILURE,
    *OTHER_CONDITIONS,
    *DRUGS,
    *(item.code for item in LABORATORIES),
    CHEST_X_RAY,
    CHEST_CT,
    *EQ5D_DIMENSIONS,
    SMOKING,
)
