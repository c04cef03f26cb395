#!/usr/bin/env python
"""Holdfast's command line. Without DJANGO_SETTINGS_MODULE it works on the demo."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.demo")
    try:
        from django.core.management import execute_from_command_line
    except ImportError as error:
        raise SystemExit(f"{error}. Run `make demo` once, or activate .venv.") from error
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
