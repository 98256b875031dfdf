"""Measuring what the product makes: evaluation, comparisons, preference studies, sweeps, speed, reports on models."""

from typing import TYPE_CHECKING

from mien.lazy import names_from

if TYPE_CHECKING:
    from mien.evaluation.benchmark import Benchmark as Benchmark
    from mien.evaluation.benchmark import measure_speed as measure_speed
    from mien.evaluation.comparison import Comparison as Comparison
    from mien.evaluation.comparison import compare_inverters as compare_inverters
    from mien.evaluation.config import BenchConfig as BenchConfig
    from mien.evaluation.config import BlindConfig as BlindConfig
    from mien.evaluation.config import EvaluateConfig as EvaluateConfig
    from mien.evaluation.config import ReportConfig as ReportConfig
    from mien.evaluation.config import ReportInputs as ReportInputs
    from mien.evaluation.config import SweepConfig as SweepConfig
    from mien.evaluation.evaluate import open_instruments as open_instruments
    from mien.evaluation.mask_effects import draw_masks as draw_masks
    from mien.evaluation.model_report.whole_report import report_on as report_on
    from mien.evaluation.preference_study import lay_out_study as lay_out_study
    from mien.evaluation.stream_speed import measure_streams as measure_streams
    from mien.evaluation.votes import count_votes as count_votes
    from mien.evaluation.whole_sweep import sweep as sweep

__all__ = [
    "BenchConfig", "Benchmark", "BlindConfig", "Comparison", "EvaluateConfig", "ReportConfig", "ReportInputs",
    "SweepConfig", "compare_inverters", "count_votes", "draw_masks", "lay_out_study", "measure_speed", "measure_streams",
    "open_instruments", "report_on", "sweep",
]  # fmt: skip
__getattr__ = names_from(
    __name__,
    {
        "benchmark": "Benchmark measure_speed",
        "comparison": "Comparison compare_inverters",
        "config": "BenchConfig BlindConfig EvaluateConfig ReportConfig ReportInputs SweepConfig",
        "evaluate": "open_instruments",
        "mask_effects": "draw_masks",
        "model_report.whole_report": "report_on",
        "preference_study": "lay_out_study",
        "stream_speed": "measure_streams",
        "votes": "count_votes",
        "whole_sweep": "sweep",
    },
)
