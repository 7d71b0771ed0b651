"""What readings become: medians, ratios, and the page of docs that they are written into."""

from __future__ import annotations

import pytest

from bench.docs_page import PAGE, MarkMissing, with_block
from bench.readings import Reading, summarise
from bench.sections import SECTIONS
from bench.tables import END_TO_END, Row, growth_markdown, lead_markdown, markdown, tasks_markdown


def reading(*, jobs: int = 100, elapsed_s: float = 1.0, cpu_s: float = 0.01) -> Reading:
    return Reading(jobs, elapsed_s, cpu_s, 2e6, 1500.0, 9000.0)


def test_median_of_the_rounds_is_told():
    told = summarise([reading(elapsed_s=elapsed_s) for elapsed_s in (1.0, 100.0, 2.0)])

    assert (told.jobs_per_s, told.cpu_us, told.rounds) == (50.0, 100.0, 3)


def test_ratio_is_to_the_best_rival_of_each_kind():
    slow_and_cheap = summarise([reading(elapsed_s=2.0, cpu_s=0.005)])
    fast_and_dear = summarise([reading(elapsed_s=1.0, cpu_s=0.02)])
    ours = summarise([reading(elapsed_s=0.5, cpu_s=0.01)])

    table = markdown(
        [Row("submit", "MB resident", {"a": slow_and_cheap, "b": fast_and_dear, "ours": ours})],
        peers=["a", "b", "ours"],
        rivals=["a", "b"],
        ours=["ours"],
    )

    assert table.splitlines()[-1] == "| submit | 50 (50.0) | 100 (200.0) | 200 (100.0) | 2.00 · 0.50 |"


def test_peer_that_was_not_measured_is_a_dash():
    table = markdown([Row("submit", "", {})], peers=["a"], rivals=["a"], ours=["ours"])

    assert table.splitlines()[-1] == "| submit | – | – |"


def test_library_of_tasks_is_a_line():
    found = {
        END_TO_END: {"Celery": summarise([reading()]), "ours": summarise([reading(elapsed_s=0.1)])},
        "latency": {"ours": summarise([reading()])},
    }

    table = tasks_markdown(found, peers=["Celery", "ours"], rival="Celery")

    assert table.splitlines()[-1] == "| ours | 1,000 (100.0) | – | – | – | 10.0 | 1.5 / 9.0 | 2 |"


def test_lead_is_over_the_best_of_the_others():
    rates = {"ours": 0.1, "Celery": 2.0, "Huey": 0.5}
    found = {name: summarise([reading(elapsed_s=elapsed_s)]) for name, elapsed_s in rates.items()}

    assert lead_markdown(found, ours=["ours"]).endswith("best of the others (Huey): ours: 5.0.")


def test_growth_is_told_beside_the_cost():
    found = {10: {"ours": summarise([reading(cpu_s=0.01)])}, 1000: {"ours": summarise([reading(cpu_s=0.02)])}}

    table = growth_markdown("submit", found, peers=["ours"])

    assert table.splitlines()[-1] == "| ours | 100.0 | 200.0 (×2.0) |"


def test_block_is_replaced_and_nothing_else():
    page = "before\n<!-- bench: wire -->\n\nold\n\n<!-- end of wire -->\nafter\n"

    written = with_block(page, "wire", r"| new \1 |")

    assert written == "before\n<!-- bench: wire -->\n\n| new \\1 |\n\n<!-- end of wire -->\nafter\n"
    with pytest.raises(MarkMissing, match="bench: tasks"):
        with_block(page, "tasks", "x")


@pytest.mark.parametrize("section", SECTIONS)
def test_page_has_a_place_for_every_section(section: str):
    assert with_block(PAGE.read_text(encoding="utf-8"), section, "x").count(f"<!-- bench: {section} -->") == 1
