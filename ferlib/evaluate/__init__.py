"""Measure a model: predictions, figures with intervals, calibration, label errors, subgroups, reports."""

from ferlib.common.lazy import lazy_attributes

__getattr__ = lazy_attributes(
    __name__,
    {
        ".curves": "precision_recall_curves roc_curves",
        ".figures": "plot_curves plot_heat_maps plot_reliability plot_subgroups",
        ".full_report": "rows_for_temperature",
        ".gradcam": "heat_maps last_feature_maps",
        ".html_report": "write_html",
        ".label_errors": "find_label_errors",
        ".leaderboard": "build_leaderboard plot_leaderboard",
        ".predictions": "build_report common_classes evaluate_bundle predict_rows write_report",
        ".subgroups": "accuracy_by accuracy_by_light draw_inputs",
        ".text": "main_figures sentences",
        "ferlib.model.calibration": "expected_calibration_error fit_temperature reliability with_temperature",
        "ferlib.model.timing": "ms_per_face",
    },
)
