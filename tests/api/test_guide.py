"""The commands of docs/api.md run as they stand, with a real shell, curl and server. Serves F2."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings

from bookings.models import Booking
from tests import factories as f
from tests.api.world import World

GUIDE = Path(settings.BASE_DIR) / "docs" / "api.md"

# What the guide needs of jq, for machines that have none.
JQ = f"""#!{sys.executable}
import json, re, sys
data = json.load(sys.stdin)
for name, index in re.findall(r"\\.(\\w+)(?:\\[(\\d+)\\])?", sys.argv[-1]):
    data = data[name][int(index)] if index else data[name]
print(data)
"""


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(not shutil.which("curl"), reason="the guide uses curl")
def test_the_commands_of_the_guide_lead_all_the_way(live_server, tmp_path):
    place = World().here
    place.slot_today()
    staff = place.staff("manager")
    (tmp_path / "jq").write_text(JQ)
    (tmp_path / "jq").chmod(0o755)
    commands = "\n".join(
        re.findall(r"^```sh\n(.*?)^```", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
    )

    run = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        cwd=tmp_path,
        env=os.environ
        | {
            "PATH": f"{tmp_path}:{os.environ['PATH']}",
            "HOLDFAST": live_server.url,
            "ORG": "here",
            "EMAIL": "reader@example.com",
            "STAFF_EMAIL": staff.user.email,
            "STAFF_PASSWORD": f.PASSWORD,
            "no_proxy": "*",
        },
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert run.returncode == 0, run.stdout[-2000:] + run.stderr[-2000:]
    assert '"status":"checked_in"' in run.stdout
    assert '"code":"booking_over"' in run.stdout  # who was there cannot cancel any more
    assert (tmp_path / "qr.svg").read_text().startswith("<svg")
    assert "BEGIN:VEVENT" in (tmp_path / "booking.ics").read_text()
    assert Booking.objects.get().status == "checked_in"
