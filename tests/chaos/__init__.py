"""Breaks a whole installation while it is used, and checks that nothing is lost, doubled or mixed up.

``bin/chaos`` runs it. A *trial* is one seed: a fresh installation, faults at times that the seed decides,
readers and operators, then the checks. ``docs/adr/0030-faults-are-repeated-by-seed.md`` says what is promised
and how it is measured.
"""
