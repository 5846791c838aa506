"""``python -m shop.specs`` writes the OpenAPI documents of the services; ``--check`` only says if they are current."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Final

from shop.settings import Settings

SERVICES: Final = ("orders", "payments", "warehouse")
"""Those that are called over HTTP; what ``prices`` can do is written by hand, in ``specs/prices.proto``."""

FOLDER: Final = Path(__file__).resolve().parents[1] / "specs"


def render(document: object) -> str:
    """Give a document as it is committed."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def document(service: str) -> str:
    """Give the document that a service serves as ``/openapi.json``."""
    return render(import_module(f"shop.{service}.app").create_app(Settings()).openapi())


def main() -> None:
    stale = []
    for service in SERVICES:
        path = FOLDER / f"{service}.openapi.json"
        text = document(service)
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(path.name)
        if "--check" not in sys.argv[1:]:
            path.write_text(text, encoding="utf-8")
    print(f"changed: {', '.join(stale)}" if stale else "all current")
    sys.exit(1 if stale and "--check" in sys.argv[1:] else 0)


if __name__ == "__main__":
    main()
