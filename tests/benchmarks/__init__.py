"""The benchmarks, which ``bin/bench`` runs.

* ``load/``: the load generators;  ``servers``, ``bare``, ``plain/``: what they measure
* ``seed``, ``contenders``, ``rounds``: the stored data, what is requested, and in which order
* ``targets``, ``report``, ``machine``: the tables and the JSON file
* ``figures``: what is no request: ``queue``, ``scale``, ``memory``, ``duplicates``, ``exports``
"""
