"""`manage.py render_api`: docs/openapi.yaml, and the list of problems in docs/api.md, from the code."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.urls import get_resolver
from drf_spectacular.renderers import OpenApiYamlRenderer

from audit.errors import DomainError
from config.schema import document

HEAD = "| code | status | meaning |\n| --- | --- | --- |\n"


def openapi() -> str:
    """The whole of docs/openapi.yaml."""
    rendered: bytes = OpenApiYamlRenderer().render(document(), renderer_context={})
    return rendered.decode()


def with_problems(guide: str) -> str:
    """The guide with the list of problems at its end made anew."""
    rows = [
        f"| `{code}` | {error.status} | {error.title()} |\n"
        for code, error in sorted(DomainError.catalogue().items())
    ]
    return guide[: guide.index(HEAD)] + HEAD + "".join(rows)


class Command(BaseCommand):
    help = "Write docs/openapi.yaml and the problems in docs/api.md; --check only compares."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--check", action="store_true", help="fail if one is stale")

    def handle(self, *args: Any, **options: Any) -> None:
        get_resolver().url_patterns  # noqa: B018  loads every app's errors
        docs = settings.BASE_DIR / "docs"
        guide = (docs / "api.md").read_text()
        for name, text in {"openapi.yaml": openapi(), "api.md": with_problems(guide)}.items():
            path = docs / name
            if not options["check"]:
                path.write_text(text)
                self.stdout.write(f"wrote docs/{name}")
            elif not path.exists() or path.read_text() != text:
                raise CommandError(f"docs/{name} is stale; run manage.py render_api")
