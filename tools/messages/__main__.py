"""``bin/messages``: updates the catalogue from the sources and compiles it."""

from __future__ import annotations

import sys

from tools.messages.catalogue import MO_PATH, PO_PATH, mo_bytes, po_bytes, problems_of, read_catalogue, update
from tools.messages.sources import ROOT, foreign_texts, our_texts


def main() -> int:
    """Rewrite both files and list the problems; return 1 when there are any, else 0."""
    catalogue = read_catalogue()
    texts = our_texts() + foreign_texts()
    update(catalogue, texts)
    PO_PATH.write_bytes(po_bytes(catalogue))
    MO_PATH.write_bytes(mo_bytes(read_catalogue()))
    problems = problems_of(catalogue, texts)
    for problem in problems:
        sys.stdout.write(f"{problem}\n")
    sys.stdout.write(f"{len(catalogue)} texts in {PO_PATH.relative_to(ROOT)}, {len(problems)} problems.\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
