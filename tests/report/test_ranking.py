from autodl.report.ranking import config_labels, ranked
from autodl.trial import TrialState


def test_ties_go_to_the_earlier(make_trial):
    trials = [make_trial(i, {}, [0.5]) for i in (2, 0, 1)]
    assert [t.trial_id for t in ranked(trials)] == [0, 1, 2]


def test_failed_trials_come_after_those_that_did_not(make_trial):
    failed, fair, silent = make_trial(0, {}, [0.9]), make_trial(1, {}, [0.1]), make_trial(2, {}, [])
    failed.state = TrialState.FAILED
    assert [t.trial_id for t in ranked([silent, failed, fair])] == [1, 0, 2]


def test_labels_in_the_order_first_met(make_trial):
    trials = [make_trial(0, {"b": 1}, []), make_trial(1, {"a": 1, "b": 2}, [])]
    assert config_labels(trials) == ("b", "a")
