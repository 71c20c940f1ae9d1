"""Measuring a style transfer: the measures, the baselines it must beat, and reports.

`metrics` holds the definitions, `benchmark` measures systems on `pairs` of content and piano whose
true rendering is known, `baselines` and `musaicing` are the rivals, `transcriber` hears the onsets,
`report` writes table, JSON and picture. The command is `style_transfer_evaluate`.
"""

from style_transfer.evaluation.metrics import all_metrics, onset_f1

__all__ = ["all_metrics", "onset_f1"]
