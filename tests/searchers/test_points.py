from __future__ import annotations

import pytest

from autodl.errors import ConfigError
from autodl.searchers import BayesianSearcher, GridSearcher, PortfolioSearcher, RandomSearcher
from autodl.spaces import Categorical, Dict, Int, Real, SearchSpace
from autodl.testing.searchers import SearcherContract, search, smooth

SPACE = SearchSpace({"lr": Real(0, 1), "net": Categorical({"mlp": Dict(width=Int(1, 9)), "linear": None})})


class TestPortfolio(SearcherContract):
    def make(self) -> PortfolioSearcher:
        return PortfolioSearcher([{}], then="random")


class TestPortfolioThenBayesian(SearcherContract):
    def make(self) -> PortfolioSearcher:
        return PortfolioSearcher([{}], then=BayesianSearcher(num_initial=3))


def test_given_configs_come_first_filled_with_the_defaults_of_their_branch():
    searcher = PortfolioSearcher([{"net": "linear"}, {"lr": 0.1}, {"net": "linear", "lr": 0.5}])
    configs = search(searcher, SPACE, smooth, num_trials=4).configs
    assert configs[:2] == [{"lr": 0.5, "net": "linear"}, {"lr": 0.1, "net": "mlp", "net/mlp/width": 5}]
    assert len(configs) == 4  # the third is the first again, so the random searcher has two


def test_bound_again_it_starts_again():
    searcher = PortfolioSearcher([{"lr": 0.1}])
    assert search(searcher, SPACE, smooth, num_trials=3) == search(searcher, SPACE, smooth, num_trials=3)


def test_what_was_given_is_not_proposed_again():
    space = SearchSpace({"a": Int(1, 3)})
    for then in (RandomSearcher(), GridSearcher(), BayesianSearcher(num_initial=1)):
        configs = search(PortfolioSearcher([{"a": 2}], then), space, smooth, num_trials=9).configs
        assert configs[0] == {"a": 2}
        assert sorted(c["a"] for c in configs) == [1, 2, 3]


def test_the_other_searcher_needs_no_bind_and_hears_the_reports():
    class Plain:
        def __init__(self):
            self.heard = []

        def suggest(self, trial_id):
            return {"lr": 1.0, "net": "linear"}

        def observe(self, report):
            self.heard.append((report.trial_id, report.state.value))

    plain = Plain()
    search(PortfolioSearcher([{"lr": 0.1}], plain), SPACE, smooth, num_trials=2)
    assert plain.heard == [(0, "running"), (0, "completed"), (1, "running"), (1, "completed")]


def test_portfolios_nest():
    inner = PortfolioSearcher([{"lr": 0.2}, {"lr": 0.1}], GridSearcher())
    outer = PortfolioSearcher([{"lr": 0.1}], inner)
    assert [c["lr"] for c in search(outer, SPACE, smooth, num_trials=2).configs] == [0.1, 0.2]


def test_wrong_config_is_named():
    with pytest.raises(ConfigError, match=r"(?s)config 1 of 2 given: .*lr: must lie in"):
        PortfolioSearcher([{}, {"lr": 3}]).bind(SPACE, seed=0)
