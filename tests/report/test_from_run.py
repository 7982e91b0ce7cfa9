from autodl.report.from_run import LEADERBOARD_ROWS, content_from_run, library_versions


def test_tells_what_the_search_found(run):
    content = content_from_run(run, title="T")
    assert content.best_config == run.trials[5].config
    assert content.headline is not None
    assert content.headline.note == "trial 5"
    facts = {fact.label: fact for fact in content.facts}
    assert facts["Trials"].value == "12"
    assert facts["Trials"].note == "11 completed, 1 failed"
    assert facts["Search time"].value == "1 min"
    assert content.failures == (("trial 2", "TrialError: the loss is NaN"),)
    assert {figure.title for figure in content.figures} >= {"Learning curves", "Best so far", "Who ran what"}
    assert "11 trials" in content.importance_note


def test_a_long_leaderboard_is_cut_and_says_so(make_run):
    content = content_from_run(make_run(LEADERBOARD_ROWS + 5), title="T")
    assert content.leaderboard is not None
    assert len(content.leaderboard.rows) == LEADERBOARD_ROWS
    assert content.leaderboard.left_out == 5


def test_no_trials_and_no_scores(make_run):
    assert content_from_run(make_run(0), title="T").leaderboard is None
    failed = make_run(3)
    failed.trials = failed.trials[2:]
    content = content_from_run(failed, title="T")
    assert content.figures == ()
    assert content.headline is None


def test_versions_name_what_decides_the_numbers():
    assert {"Python", "torch", "numpy"} <= set(library_versions())
