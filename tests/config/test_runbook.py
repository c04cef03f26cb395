"""The runbook knows every check, and says of each what it means and what can be done. Serves A14."""

import re
from pathlib import Path

import pytest
from django.core.management import get_commands

from audit.consistency.registry import registry

RUNBOOK = Path(__file__).resolve().parents[2] / "docs" / "runbook.md"
TEXT = RUNBOOK.read_text()
SECTIONS = dict(re.findall(r"^### `([a-z_.]+)`\n(.*?)(?=^#|\Z)", TEXT, re.MULTILINE | re.DOTALL))
# Other suites register checks of their own in registries of their own; these are the project's.
CHECKS = {check.id: check for check in registry.checks()}


def test_every_check_has_a_section_and_every_section_a_check():
    assert set(SECTIONS) == set(CHECKS)
    assert len(CHECKS) > 20


@pytest.mark.parametrize("check_id", sorted(CHECKS))
def test_a_section_says_what_it_means_and_what_to_do(check_id):
    section = SECTIONS[check_id]

    for part in ("- **Means:** ", "- **`--fix`:** ", "- **Otherwise:** "):
        assert section.count(part) == 1, part
    leaves_it = "**`--fix`:** does nothing" in section
    assert leaves_it == (CHECKS[check_id].fixer is None)


def test_the_commands_it_names_exist():
    named = set(re.findall(r"manage\.py ([a-z_]+)", TEXT))

    assert named
    assert named <= set(get_commands())
