"""How short a searcher of one's own is; the class below is what the tutorial shows."""

from __future__ import annotations

import inspect

# BEGIN
from autodl.searchers import SearcherBase


class HalfOfTheBest(SearcherBase):
    best, merit = {}, ()

    def suggest(self, trial_id):
        rng = self.rng(trial_id)
        return self.space.sample(rng, given={k: v for k, v in self.best.items() if rng.random() < 0.5})

    def observe(self, report):
        if report.merit > self.merit:
            self.best, self.merit = report.config, report.merit


# END

import pytest  # noqa: E402

import autodl as ad  # noqa: E402
from autodl.errors import OptionError  # noqa: E402
from autodl.testing.searchers import SearcherContract, search  # noqa: E402


class TestHalfOfTheBest(SearcherContract):
    def spaces(self):  # it does not look for what is left of a finite space
        return {name: space for name, space in super().spaces().items() if space.size is None}

    def make(self):
        return HalfOfTheBest()


def test_it_takes_ten_lines_at_most():
    source = inspect.getsource(inspect.getmodule(HalfOfTheBest))
    shown = source[source.index("# BEGIN") : source.index("# END")].splitlines()[1:]
    lines = [line for line in shown if line.strip()]
    assert len(lines) <= 10  # the import included; class and methods are 8


def test_it_is_no_use_before_it_is_bound():
    with pytest.raises(OptionError, match="knows no space yet"):
        HalfOfTheBest().suggest(0)


def test_it_learns():
    space = ad.spaces.SearchSpace({f"x{i}": ad.Real(0, 1) for i in range(4)})

    def score(config):
        return -sum(config.values())

    mine, chance = (
        [search(searcher(), space, score, num_trials=60, seed=seed).best for seed in range(8)]
        for searcher in (HalfOfTheBest, ad.searchers.RandomSearcher)
    )
    assert sorted(mine)[2] > max(chance)


def test_tune_takes_it():
    def train(args, reporter):
        reporter(loss=args.x**2)

    result = ad.tune(train, {"x": ad.Real(0, 1)}, metric="loss", searcher=HalfOfTheBest(), num_trials=30)
    assert result.best_value < 0.01
