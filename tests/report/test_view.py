from autodl.report.view import ResultView, RunView, TrialView
from autodl.trial import Trial


def test_a_trial_offers_what_a_view_needs():
    trial = Trial(0, {})
    names = [name for name in vars(TrialView) if not name.startswith("_")]
    assert len(names) == 11
    assert all(hasattr(trial, name) for name in names)


def test_a_run_is_a_result_and_more():
    assert {"trials", "metric", "mode"} <= set(vars(ResultView))
    assert {"num_trials", "time_limit_s", "elapsed_s", "num_workers", "path"} <= set(vars(RunView))
