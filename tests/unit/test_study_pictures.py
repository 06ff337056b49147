"""Diagrams: everything in its place, nothing over anything else, every text a text."""

import re
import xml.etree.ElementTree as ET
from itertools import combinations

import pytest

from tasks.core.spec import load_study
from tasks.report.diagrams import Bar, Lane, Timeline, days_of, text_width
from tasks.report.framework import timelines
from tasks.report.pictures import data_flow, pictures, stacked
from tasks.report.timeline import LEFT, RIGHT, WIDTH, scale_of, ticks, timeline_svg
from tasks.report.voice import Voice
from tests.study_files import COHORTS, DEVICE, NEW_USER, REGISTRY, changed_spec

FIRST = "cohort_celecoxib"
STUDIES = (NEW_USER, DEVICE, COHORTS, REGISTRY)
SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = "<script>alert(1)</script> & \"'{{ 7 * 7 }}"


def boxes(svg):
    """Every text of a picture as (text, left, right, top, bottom), from the estimate of its width."""
    for node in ET.fromstring(svg).iter(f"{SVG}text"):
        size, x, y = (float(node.get(name)) for name in ("font-size", "x", "y"))
        width = text_width(node.text or "", size)
        shift = {"middle": width / 2, "end": width}.get(node.get("text-anchor"), 0.0)
        yield node.text, x - shift, x - shift + width, y - 0.75 * size, y + 0.1 * size


def overlaps(svg):
    return [
        (a[0], b[0])
        for a, b in combinations(boxes(svg), 2)
        if a[1] < b[2] and b[1] < a[2] and a[3] < b[4] and b[3] < a[4]
    ]


@pytest.mark.parametrize("study", STUDIES)
@pytest.mark.parametrize("language", ["en", "ko"])
def test_no_label_lies_over_another_or_outside_the_picture(study, language):
    for picture in pictures(Voice(load_study(study), language)):
        assert overlaps(picture.svg) == []
        width = float(ET.fromstring(picture.svg).get("width"))
        assert all(left >= 0 and right <= width for _, left, right, *_ in boxes(picture.svg))


LANES = tuple(
    Lane("G", f"a lane of the name {n} " * n, "what it means, at length " * n, bars, look)
    for n, (bars, look) in enumerate(
        [
            ((Bar(-3650, -1),), "observe"),
            ((Bar(-2, -1), Bar(0, 0), Bar(1, 2), Bar(None, None)), "covariate"),
            ((Bar(-36500, 36500),), "washout"),
            ((Bar(5, None), Bar(365, None, "[1, a very long label of a day + 30]")), "risk"),
            ((Bar(None, -30), Bar(-1, 1)), "zero"),
            ((), "calendar"),
        ],
        1,
    )
)


def test_crowded_lanes_keep_apart():
    svg = timeline_svg(Timeline("t" * 200, "b " * 300, LANES, "axis", "note", "d"), "crowd")
    assert overlaps(svg) == [], overlaps(svg)
    placed = [box for box in boxes(svg) if box[0].startswith("[")]
    assert len(placed) > 8
    assert all(left >= LEFT and right <= WIDTH for _, left, right, *_ in placed)


def test_days_keep_their_order_and_their_distance_on_the_axis():
    scale = scale_of(LANES)
    places = [scale.at(day) for day in (-36500, -3650, -365, -30, -7, -1, 0, 1, 7, 365, 36500)]
    assert places == sorted(places)
    assert LEFT < places[0] < places[-1] < RIGHT
    steps = [scale.at((1 + 1) * 2**n - 1) - scale.at(2 ** (n + 1) // 2 - 1) for n in range(1, 6)]
    assert max(steps) - min(steps) < 0.05  # doubling 1 + days is the same step everywhere
    assert "0" in {tick["text"] for tick in ticks(LANES, scale)}


def test_bars_begin_and_end_where_the_study_says():
    lanes = dict(timelines(Voice(load_study(NEW_USER), "en")))["design"].lanes
    bars = {lane.name: lane.bars for lane in lanes}
    assert bars["Prior observation"] == (Bar(-183, 0),)
    assert bars["Outcome washout"] == (Bar(-30, -1),)
    assert bars["New users"] == (Bar(None, -1),)
    assert bars["Risk window"] == (Bar(0, None, "[0,\u00a0end of exposure + 30]"),)
    lanes = dict(timelines(Voice(load_study(DEVICE), "en")))["design"].lanes
    bars = {lane.name: lane.bars for lane in lanes}
    assert bars["Outcome washout"] == (Bar(-365, 0),)  # up to the day before the risk window
    assert bars["Risk window"][0].start == 1
    assert bars["Risk window"][0].end == 365
    assert bars["Follow-up ends at"] == (Bar(0, 365, "[0,\u00a0≤ 365]"),)


@pytest.mark.parametrize(
    ("end", "bar"),
    [
        ("{type: event_end}", Bar(0, None, "[0,\u00a0end of the record]", brief=True)),
        ("{type: fixed, anchor: start, offset_days: 90}", Bar(0, 90)),
        ("{type: fixed, anchor: end, offset_days: 9}",
         Bar(0, None, "[0,\u00a0end of the record + 9]", brief=True)),
    ],
)  # fmt: skip
def test_a_span_is_drawn_as_long_as_it_lasts(tmp_path, end, bar):
    spec = changed_spec(tmp_path, COHORTS, ("{type: event_end}", end))
    lanes = {lane.name: lane for lane in dict(timelines(Voice(spec, "en")))[FIRST].lanes}
    assert lanes["In the cohort"].bars == (bar,)


def test_a_span_that_lasts_as_long_as_observation_is_drawn_to_the_edge():
    lanes = dict(timelines(Voice(load_study(COHORTS), "en")))
    open_ended = {
        name for name, t in lanes.items() for lane in t.lanes if lane.bars == (Bar(0, None),)
    }
    ends = {
        f"cohort_{c.id}" for c in load_study(COHORTS).cohorts if c.end.type == "observation_end"
    }
    assert open_ended == ends != set()


def test_a_brief_bar_does_not_reach_the_edge():
    lane = Lane("G", "n", "d", (Bar(0, None, "[0, x]", brief=True),), "risk")
    svg = timeline_svg(Timeline("t", "b", (lane,), "axis", "note", "d"), "brief")
    [points] = [p.get("points") for p in ET.fromstring(svg).iter(f"{SVG}polygon")][:1]
    zero = scale_of((lane,)).zero
    assert max(float(corner.split(",")[0]) for corner in points.split()) == pytest.approx(zero + 30)


def test_covariates_of_a_kind_are_told_apart():
    spec = load_study(NEW_USER)
    age = next(c for c in spec.covariates if c.kind == "age")
    bands = age.model_copy(update={"id": "age_band", "bands": (40, 60)})
    spec = spec.model_copy(update={"covariates": (*spec.covariates, bands)})
    lanes = {lane.name: lane for lane in dict(timelines(Voice(spec, "en")))["design"].lanes}
    assert lanes["At day 0"].detail == "age (age), sex, age (age_band)"
    assert lanes["Every condition"].bars == (Bar(None, -1),)


def test_each_cohort_of_the_language_has_a_picture_with_its_rules():
    spec = load_study(COHORTS)
    drawn = dict(timelines(Voice(spec, "ko")))
    assert list(drawn) == [f"cohort_{cohort.id}" for cohort in spec.cohorts]
    for cohort in spec.cohorts:
        names = {lane.name for lane in drawn[f"cohort_{cohort.id}"].lanes}
        for rule in cohort.rules:
            assert any(name.endswith(rule.name.ko if rule.name else rule.id) for name in names)


def test_a_text_of_the_study_never_becomes_markup(tmp_path):
    quoted = HOSTILE.replace("\\", "\\\\").replace('"', '\\"')
    spec = changed_spec(
        tmp_path, NEW_USER, ("{en: gastrointestinal bleeding,", f'{{en: "{quoted}",')
    )
    svg = stacked(pictures(Voice(spec, "en")), HOSTILE)
    tree = ET.fromstring(svg)
    assert not list(tree.iter(f"{SVG}script"))
    assert "{{ 7 * 7 }}" in "".join(tree.itertext())


def test_a_picture_says_in_words_what_it_shows():
    for study in STUDIES:
        for picture in pictures(Voice(load_study(study), "en")):
            tree = ET.fromstring(picture.svg)
            assert tree.get("role") == "img"
            assert tree.find(f"{SVG}title").text
            assert len(tree.find(f"{SVG}desc").text) > 60


def test_pictures_on_one_page_share_no_id():
    drawn = pictures(Voice(load_study(COHORTS), "en"))
    ids = re.findall(r'\bid="([^"]+)"', stacked(drawn, "all"))
    assert len(ids) == len(set(ids)) > len(drawn)


def test_sources_flow_to_their_analyses():
    picture = data_flow(Voice(load_study(NEW_USER), "en"))
    texts = " ".join(text for text, *_ in boxes(picture.svg))
    assert "eunomia" in texts
    assert "primary: Cox model (primary)" in texts
    assert overlaps(picture.svg) == []


def test_days_are_written_with_a_true_minus():
    assert days_of(Bar(-365, -1)) == "[−365,\u00a0−1]"
    assert (days_of(Bar(0, 0)), days_of(Bar(None, 0))) == ("[0]", "[…,\u00a00]")
