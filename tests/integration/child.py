"""A Python process with a stack's environment that calls functions by name, one line of JSON each.

Run as ``python -m tests.integration.child``; :class:`tests.integration.parts.Caller` talks to it.
"""

from __future__ import annotations

import json
import os
import sys
import traceback

import django
from django.utils.module_loading import import_string


def main() -> None:
    # Whatever the called functions print must not mix with the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    django.setup()
    answers.write("ready\n")
    answers.flush()
    for line in sys.stdin:
        name, arguments = json.loads(line)
        try:
            answer = {"result": import_string(name)(**arguments)}
        except Exception:
            answer = {"error": traceback.format_exc()}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
