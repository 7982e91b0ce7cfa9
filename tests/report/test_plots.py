import subprocess
import sys

import numpy as np
import pytest
from matplotlib.colors import to_hex

from autodl.errors import OptionError, UnknownNameError
from autodl.report.plot_style import BAD, FAINT, GOOD, looks_logarithmic
from autodl.report.plots import KINDS, plot
from autodl.trial import Trial, TrialState


def lines_by_gid(figure):
    return {line.get_gid(): line for line in figure.axes[0].lines if line.get_gid()}


def texts(figure):
    return [t.get_text() for ax in figure.axes for t in ax.texts]


def test_curves_hold_every_trial_with_a_score_and_mark_the_best(run):
    figure = plot("curves", run)
    lines = lines_by_gid(figure)
    assert set(lines) == {f"trial-{i}" for i in range(12) if i != 2}
    best = run.trials[5]
    assert list(lines["trial-5"].get_xdata()) == [1, 2, 3, 4]
    assert list(lines["trial-5"].get_ydata()) == [r.value for r in best.reports]
    assert lines["trial-5"].get_color() == GOOD
    assert lines["trial-0"].get_color() == FAINT
    assert texts(figure) == [f"trial 5: {best.best.value:.4g}"]
    assert figure.axes[0].get_ylabel() == "accuracy"


def test_incumbent_only_improves(run):
    figure = plot("incumbent", run)
    (step,) = [line for line in figure.axes[0].lines if line.get_label() == "best so far"]
    values = list(step.get_ydata())
    assert values == sorted(values)
    assert values[-1] == run.trials[5].best.value
    (failed,) = [line for line in figure.axes[0].lines if line.get_label() == "failed"]
    assert len(failed.get_xdata()) == 1


def test_incumbent_falls_for_a_loss(make_run, make_trial):
    run = make_run(0, metric="loss", mode="min")
    values = [0.5, 0.8, 0.2]
    run.trials = [make_trial(i, {}, [v], sign=-1.0, start=10.0 * i) for i, v in enumerate(values)]
    figure = plot("incumbent", run)
    (step,) = [line for line in figure.axes[0].lines if line.get_label() == "best so far"]
    assert list(step.get_ydata()) == [0.5, 0.2, 0.2]


def test_importance_names_labels_largest_first(make_run):
    figure = plot("importance", make_run(60))
    (ax,) = figure.axes
    names = [label.get_text() for label in ax.get_yticklabels()]
    assert names[0] == "lr"
    widths = [bar.get_width() for bar in ax.patches]
    assert widths == sorted(widths, reverse=True)


def test_parallel_puts_inactive_labels_below_the_axis(run):
    figure = plot("parallel", run)
    (ax,) = figure.axes
    titles = [label.get_text().replace("\n", "") for label in ax.get_xticklabels()]
    assert titles[-1] == "accuracy"
    column = titles.index("net/width")
    lines = lines_by_gid(figure)
    assert set(lines) == {f"trial-{i}" for i in range(12) if i != 2}
    assert lines["trial-0"].get_ydata()[column] < 0.0  # net = large has no width
    assert 0.0 <= lines["trial-1"].get_ydata()[column] <= 1.0
    assert lines["trial-5"].get_ydata()[-1] == 1.0
    assert "not used" in texts(figure)


def test_slices_have_a_panel_for_each_label_that_varies(run):
    for trial in run.trials:
        trial.config["constant"] = 3
    figure = plot("slices", run)
    panels = {ax.get_xlabel(): ax for ax in figure.axes if ax.get_visible()}
    assert set(panels) == {"lr", "net", "noise", "net/width"}
    points = panels["net/width"].collections[0].get_offsets()
    assert len(points) == 6
    assert panels["lr"].get_xscale() == "log"
    assert panels["noise"].get_xscale() == "linear"
    assert [t.get_text() for t in panels["net"].get_xticklabels()] == ["large", "small"]
    assert len({ax.get_ylim() for ax in panels.values()}) == 1


def test_timeline_has_a_bar_for_each_trial_on_its_worker(run):
    figure = plot("timeline", run)
    (ax,) = figure.axes
    bars = {bar.get_gid(): bar for bar in ax.patches if bar.get_gid()}
    assert len(bars) == 12
    assert [label.get_text() for label in ax.get_yticklabels()] == ["w0", "w1"]
    assert bars["trial-2"].get_y() == bars["trial-0"].get_y() != bars["trial-1"].get_y()
    assert to_hex(bars["trial-2"].get_facecolor()) == BAD
    assert to_hex(bars["trial-5"].get_facecolor()) == GOOD


def test_labels_can_be_chosen(run):
    figure = plot("parallel", run, labels=("net", "lr"))
    assert [t.get_text() for t in figure.axes[0].get_xticklabels()] == ["net", "lr", "accuracy"]
    panels = [ax.get_xlabel() for ax in plot("slices", run, labels=("noise",)).axes]
    assert panels == ["noise"]
    with pytest.raises(UnknownNameError, match="known: lr, net, noise, net/width"):
        plot("slices", run, labels=("momentum",))


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_says_why_there_is_nothing_to_see(make_run, kind):
    figure = plot(kind, make_run(0))
    (text,) = texts(figure)
    assert text


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize("width", [3.7, 7.2])
def test_odd_runs_can_be_drawn(make_trial, make_run, kind, width):
    """One value for all, a running trial, names that matplotlib could take for formulas."""
    run = make_run(0, metric="$acc^{")
    run.trials = [make_trial(i, {"a$b_{": f"$x{i}\\frac$", "t": 1.0}, [0.5]) for i in range(7)]
    run.trials.append(Trial(7, {"a$b_{": "z"}, TrialState.RUNNING, started_s=99.0, worker="$w"))
    plot(kind, run, width=width).canvas.draw()


def test_unknown_kinds_and_widths_are_refused(run):
    with pytest.raises(UnknownNameError, match="known: curves, incumbent"):
        plot("pie", run)
    with pytest.raises(OptionError, match="at least 2"):
        plot("curves", run, width=float("nan"))


def test_logarithmic_axes_are_recognised():
    rng = np.random.default_rng(0)
    assert looks_logarithmic(10 ** rng.uniform(-4, -1, 12))
    assert not looks_logarithmic(rng.uniform(0.001, 0.5, 12))
    assert not looks_logarithmic([-1.0, 0.1, 100.0])


def test_pyplot_is_never_imported():
    code = "import sys, autodl.report.plots; sys.exit('matplotlib.pyplot' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
