"""Documents say what the code does. Serves F4."""

import re
from pathlib import Path

import pytest
from django.core.management import call_command

ROOT = Path(__file__).resolve().parents[2]


def test_lifecycle_diagrams_are_current():
    call_command("render_lifecycles", "--check")


def test_every_variable_of_the_settings_is_documented_and_the_other_way_round():
    code = "".join(p.read_text() for p in (ROOT / "config/settings").glob("*.py"))
    read = set(re.findall(r"""env\.\w+\(\s*["']([A-Z_]+)["']""", code))
    table = (ROOT / "docs/configuration.md").read_text()
    documented = set(re.findall(r"^\| `([A-Z_]+)` \|", table, re.MULTILINE))
    assert read == documented


@pytest.mark.parametrize("document", sorted(p.name for p in (ROOT / "docs").glob("*.md")))
def test_links_lead_somewhere(document):
    text = (ROOT / "docs" / document).read_text()
    for target in re.findall(r"\]\((?!https?:|#|/)([^)#]+)", text):
        assert (ROOT / "docs" / target).exists(), f"{document} links to {target}"
