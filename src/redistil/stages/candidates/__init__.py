"""First-stage runs: the candidates of every re-ranker.

SPLADE by exact search over encoded passages, BM25 over their words, or a run file from elsewhere.
"""
