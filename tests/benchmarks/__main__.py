"""``make bench``: measure Holdfast over HTTP beside what this machine could do at best.

Everything runs on embedded servers in var/bench, which is emptied first. docs/performance.md
says how to read the result.
"""

import os
import sys

import django

if __name__ == "__main__":
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.benchmarks.settings"
    django.setup()
    from tests.benchmarks.cli import main

    sys.exit(main())
