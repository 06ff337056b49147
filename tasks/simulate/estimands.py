"""What each planted value means, as the sentence that a target trial would state."""

from collections.abc import Mapping

_WHO_EN = (
    "In eligible persons of the consortium (each hospital by its size), from image acquisition on, "
    "whether or not inference succeeded, with nobody lost to follow-up"
)
_WHO_KO = (
    "컨소시엄의 적격자 전체에서(기관 규모로 가중), 추론 성공 여부와 무관하게 영상 촬영 시점부터, "
    "추적 소실이 없을 때"
)

STRATEGY: Mapping[str, Mapping[str, str]] = {
    "ai_shown": {
        "en": "Show the AI result to the reader at first read: approved version and threshold "
        "in force on the day of the image; where inference fails, its notice.",
        "ko": "첫 판독 시 AI 결과를 판독의에게 표시: 촬영일에 유효한 허가 버전과 임계값, "
        "추론 실패 시 실패 안내.",
    },
    "ai_not_shown": {
        "en": "First read without the AI result.",
        "ko": "AI 결과 없이 첫 판독.",
    },
}


def _both(en: str, ko: str) -> Mapping[str, str]:
    return {"en": f"{_WHO_EN}: {en}", "ko": f"{_WHO_KO}: {ko}"}


ESTIMANDS: Mapping[str, Mapping[str, str]] = {
    "risk": _both(
        "the risk of acute respiratory failure by that day if everybody were managed under the "
        "strategy; death without it competes.",
        "모두가 해당 전략으로 진료받을 경우 그날까지 급성 호흡부전이 발생할 위험(사망은 경쟁사건).",
    ),
    "risk_difference": _both(
        "that risk if the result is shown to all, minus that risk if it is shown to none.",
        "모두에게 결과를 표시할 때와 아무에게도 표시하지 않을 때의 위험 차이.",
    ),
    "risk_ratio": _both(
        "that risk if the result is shown to all, over that risk if it is shown to none.",
        "모두에게 결과를 표시할 때와 아무에게도 표시하지 않을 때의 위험비.",
    ),
    "risk_of_death": _both(
        "the risk of death from any cause by that day under the strategy.",
        "해당 전략에서 그날까지 모든 원인의 사망 위험.",
    ),
    "rmst": _both(
        "mean days alive and free of respiratory failure until that day under the strategy.",
        "해당 전략에서 그날까지 호흡부전 없이 생존한 평균 일수(제한평균생존시간).",
    ),
    "rmst_difference": _both(
        "those mean days if the result is shown to all, minus if it is shown to none.",
        "모두에게 결과를 표시할 때와 아무에게도 표시하지 않을 때의 평균 일수 차이.",
    ),
    "hazard_ratio": _both(
        "the marginal hazard ratio, shown to all against shown to none, of Cox's model with the "
        "strategy alone, until that day; death without the outcome ends follow-up.",
        "전략만 넣은 콕스 모형의 주변 위험비(그날까지, 결과 없이 사망하면 추적 종료).",
    ),
    "mean_cost": _both(
        "the mean cost (KRW, undiscounted, prices of the simulation) from the day of the image "
        "until that day under the strategy.",
        "해당 전략에서 촬영일부터 그날까지의 평균 비용(원, 할인 없음, 모의 가격).",
    ),
    "incremental_cost": _both(
        "mean cost if the result is shown to all, minus if it is shown to none.",
        "모두에게 결과를 표시할 때와 아무에게도 표시하지 않을 때의 평균 비용 차이.",
    ),
    "mean_qaly": _both(
        "mean quality-adjusted life years until that day under the strategy; EQ-5D-5L valued by "
        "Kim 2016, undiscounted.",
        "해당 전략에서 그날까지의 평균 질보정수명(EQ-5D-5L, Kim 2016 가치, 할인 없음).",
    ),
    "incremental_qaly": _both(
        "mean QALYs if the result is shown to all, minus if it is shown to none.",
        "모두에게 결과를 표시할 때와 아무에게도 표시하지 않을 때의 평균 QALY 차이.",
    ),
    "negative_control": _both(
        "the hazard ratio of an outcome that the strategy cannot change: exactly 1.",
        "전략이 바꿀 수 없는 결과의 위험비: 정확히 1.",
    ),
    "sensitivity": {
        "en": "Among index images with the disease at the site, acquired while the version ran "
        "there and of which the device gave a result: the share called positive.",
        "ko": "해당 기관·버전에서 기기가 결과를 낸 질환 있는 기준 영상 중 양성으로 판정한 비율.",
    },
    "specificity": {
        "en": "Among index images without the disease at the site, acquired while the version ran "
        "there and of which the device gave a result: the share called negative.",
        "ko": "해당 기관·버전에서 기기가 결과를 낸 질환 없는 기준 영상 중 음성으로 판정한 비율.",
    },
    "auc": {
        "en": "The probability that such an image with the disease scores above one without.",
        "ko": "질환 있는 영상의 점수가 질환 없는 영상보다 높을 확률.",
    },
    "failure_rate": {
        "en": "The share of index images of the site of which the device would give no result.",
        "ko": "해당 기관의 기준 영상 중 기기가 결과를 내지 못하는 비율.",
    },
    "prevalence": {
        "en": "The share of index images of the site with the disease.",
        "ko": "해당 기관 기준 영상의 질환 유병률.",
    },
    "reader_sensitivity": {
        "en": "The share of all index images with the disease that the first reader would call "
        "positive in this way of reading; where the device fails, without it.",
        "ko": "해당 판독 방식에서 질환 있는 기준 영상을 첫 판독의가 양성으로 판정할 비율.",
    },
    "reader_specificity": {
        "en": "The share of all index images without the disease that the first reader would call "
        "negative in this way of reading.",
        "ko": "해당 판독 방식에서 질환 없는 기준 영상을 첫 판독의가 음성으로 판정할 비율.",
    },
    "reader_auc": {
        "en": "The AUC of one reader's suspicion, averaged over hospitals by size, where the "
        "device always gives a result.",
        "ko": "기기가 항상 결과를 낼 때 한 판독의의 AUC(기관 규모로 가중 평균).",
    },
    "reader_auc_difference": {
        "en": "That AUC aided, minus unaided.",
        "ko": "해당 AUC의 AI 보조 판독과 단독 판독의 차이.",
    },
    "uptake": {
        "en": "The expected share of index images of the site in that month of the enrolment, "
        "from 0, whose AI result is shown at first read.",
        "ko": "등록 기간의 해당 월(0부터)에 첫 판독 시 AI 결과가 표시되는 기준 영상의 기대 비율.",
    },
}
