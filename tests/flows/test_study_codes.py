"""What the code lists of a study catch on the lake, and that few persons are not told."""

from flows.orders import codes as order
from tests.homes import STUDY


def persons(found):
    """Persons by list, without those of the negative controls."""
    return {
        row["code_list"]: row["persons"]
        for row in found.lists
        if not row["code_list"].startswith("fracture")
    }


def of_study(found):
    return [row for row in found.members if not row["code_list"].startswith("fracture")]


def test_persons_of_each_list_are_the_published_ones(demo_home):
    """OHDSI Eunomia: celecoxib 1844, diclofenac 850, gastrointestinal bleed 479 persons."""
    found = order.codes(demo_home, STUDY)
    assert persons(found) == {"celecoxib": 1844, "diclofenac": 850, "gi_bleed": 479}
    assert [row["name"] for row in of_study(found)] == [
        "celecoxib",
        "Diclofenac",
        "Gastrointestinal hemorrhage",
    ]
    assert found.messages == []


def test_few_persons_are_withheld(demo_home, monkeypatch):
    monkeypatch.setattr(order, "threshold", lambda *_: 900)
    found = order.codes(demo_home, STUDY)
    assert persons(found) == {"celecoxib": "about 1800", "diclofenac": "<900", "gi_bleed": "<900"}
    assert [(row["records"], row["persons"]) for row in of_study(found)] == [
        ("withheld", "about 1800"),
        ("withheld", "<900"),
        ("withheld", "<900"),
    ]
