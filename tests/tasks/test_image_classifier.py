"""The estimator: scikit-learn's rules, every form of input and output, what it can tell of itself."""

from __future__ import annotations

import copy
import pickle
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.base import clone, is_classifier
from sklearn.exceptions import NotFittedError as SklearnNotFittedError
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.validation import check_is_fitted

from autodl import ImageClassification, ImageClassifier
from autodl.errors import (
    BadImageError,
    DataNotFoundError,
    EmptyDataError,
    LabelError,
    NotFittedError,
    OptionError,
    UnknownNameError,
)
from tests.tasks import made

# ---------------------------------------------------------------------- scikit-learn


def test_keeps_its_arguments_as_given():
    net, limit = made.linear(), "10m"
    classifier = ImageClassifier(net=net, time_limit=limit, seed=3)
    params = classifier.get_params()
    assert params["net"] is net
    assert params["time_limit"] is limit
    assert ImageClassifier(**params).get_params() == params


def test_is_cloned_and_changed_by_set_params():
    classifier = ImageClassifier(num_trials=3, metric="f1_macro")
    twin = clone(classifier).set_params(num_trials=5)
    assert (twin.num_trials, twin.metric) == (5, "f1_macro")
    assert classifier.num_trials == 3
    with pytest.raises(ValueError, match="num_trails"):
        classifier.set_params(num_trails=1)


def test_is_a_classifier_for_scikit_learn(fitted):
    assert is_classifier(fitted)
    check_is_fitted(fitted)
    with pytest.raises(SklearnNotFittedError):
        check_is_fitted(ImageClassifier())


def test_fit_returns_itself_and_leaves_arguments_alone(digits):
    classifier = made.quick()
    before = classifier.get_params()
    assert classifier.fit(*digits.train) is classifier
    assert classifier.get_params() == before


def test_pipeline_and_cross_validation_run_on_arrays(digits):
    scaled = make_pipeline(FunctionTransformer(lambda X: X / 16), made.quick(epochs=3))
    scores = cross_val_score(scaled, *digits.train, cv=2, error_score="raise")
    assert scores.shape == (2,)
    assert scores.min() > 0.15  # ten classes: chance is 0.1


def test_scorers_that_read_probabilities_run(digits):
    scores = cross_val_score(
        made.quick(epochs=3), *digits.train, cv=2, scoring="roc_auc_ovr", error_score="raise"
    )
    assert scores.min() > 0.6


def test_score_is_accuracy_and_takes_weights(fitted, digits):
    X, y = digits.test
    right = fitted.predict(X) == y
    assert fitted.score(X, y) == pytest.approx(right.mean())
    weights = np.arange(len(y))
    assert fitted.score(X, y, sample_weight=weights) == pytest.approx(np.average(right, weights=weights))


def test_score_weighs_only_images_it_can_read(colours, tmp_path):
    good = made.colour_folder(tmp_path / "good", count=1)
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"")
    paths = [bad, good / "blue/0.png", good / "red/0.png"]
    with pytest.warns(UserWarning, match="1 of 3"):
        value = colours.score(paths, ["blue", "blue", "blue"], sample_weight=[5, 3, 1])
    assert value == pytest.approx(0.75)


def test_survives_pickle_and_deepcopy_with_the_same_predictions(fitted, digits):
    X, _ = digits.test
    expected = fitted.predict_proba(X)  # builds the fast copy first
    for twin in (pickle.loads(pickle.dumps(fitted)), copy.deepcopy(fitted)):
        np.testing.assert_array_equal(twin.predict_proba(X), expected)


# ---------------------------------------------------------------------- not fitted


@pytest.mark.parametrize(
    "use",
    [
        lambda c: c.predict([np.zeros((8, 8))]),
        lambda c: c.predict_proba([np.zeros((8, 8))]),
        lambda c: c.evaluate([np.zeros((8, 8))], [1]),
        lambda c: c.score([np.zeros((8, 8))], [1]),
        lambda c: c.leaderboard(),
        lambda c: c.fit_summary(),
        lambda c: c.plot("curves"),
        lambda c: c.plot("confusion"),
        lambda c: c.report("never.html"),
        lambda c: c.explain(np.zeros((8, 8))),
        lambda c: c.save("never"),
        lambda c: c.export("never.pt2"),
    ],
)
def test_says_that_it_is_not_fitted(use):
    with pytest.raises(NotFittedError, match=r"call fit\(data\) or load\(path\) first"):
        use(ImageClassifier())
    assert not any(Path(name).exists() for name in ("never", "never.html", "never.pt2"))


# ---------------------------------------------------------------------- predicting


@pytest.fixture
def album(tmp_path):
    return made.colour_folder(tmp_path / "album", count=2)


def test_predicts_one_image_of_any_kind_as_one_label(colours, album):
    path = album / "red/0.png"
    forms = [str(path), path, Image.open(path), np.asarray(Image.open(path)), path.read_bytes()]
    for form in forms:
        assert colours.predict(form) == "red"
        assert colours.predict_proba(form).shape == (2,)


def test_predicts_a_torch_tensor_as_one_image(colours):
    import torch

    image = torch.from_numpy(made.patch("red", 5))
    assert colours.predict(image) == "red"
    assert colours.predict(torch.stack([image, image])).tolist() == ["red", "red"]


def test_predicts_lists_and_arrays_as_arrays_in_their_order(colours, album):
    paths = [album / "red/1.png", str(album / "blue/0.png"), album / "red/0.png"]
    pictures = [Image.open(p) for p in paths]
    stack = np.stack([np.asarray(p) for p in pictures])
    for form in (paths, pictures, stack, list(stack)):
        labels = colours.predict(form)
        assert labels.tolist() == ["red", "blue", "red"]
        probs = colours.predict_proba(form)
        assert probs.shape == (3, 2)
        np.testing.assert_allclose(probs.sum(axis=1), 1, rtol=1e-5)
    assert colours.predict(paths[:1]).shape == (1,)


def test_predicts_a_folder_as_a_series_by_name(colours, album):
    labels = colours.predict(album)
    assert isinstance(labels, pd.Series)
    assert labels.name == "label"
    assert labels.to_dict() == {
        "blue/0.png": "blue",
        "blue/1.png": "blue",
        "red/0.png": "red",
        "red/1.png": "red",
    }
    probs = colours.predict_proba(str(album))
    assert list(probs.columns) == ["blue", "red"]
    assert list(probs.index) == list(labels.index)


def test_predicts_a_table_of_paths_with_and_without_labels(colours, album):
    frame = pd.DataFrame({"image": [str(album / "red/0.png"), str(album / "blue/0.png")]})
    assert colours.predict(frame).tolist() == ["red", "blue"]
    assert colours.predict(frame.assign(label="blue")).tolist() == ["red", "blue"]
    frame.to_csv(album / "list.csv", index=False)
    assert colours.predict(album / "list.csv").tolist() == ["red", "blue"]


def test_predicts_a_numeric_frame_as_rows_of_pixels(fitted, digits):
    X, _ = digits.test
    np.testing.assert_array_equal(fitted.predict(pd.DataFrame(X)), fitted.predict(X))


def test_an_image_has_the_same_probabilities_alone_and_among_others(fitted, digits):
    X = digits.test[0].reshape(-1, 8, 8)
    together = fitted.predict_proba(X)
    for i in range(5):
        np.testing.assert_allclose(fitted.predict_proba(X[[i]])[0], together[i], atol=1e-6)


def test_a_dark_image_alone_keeps_the_range_of_the_training_data(fitted, digits):
    """Values in [0, 16]: guessed from this image alone, its range would be another."""
    X = digits.test[0].reshape(-1, 8, 8).copy()
    X[0] = np.minimum(X[0], 1)
    np.testing.assert_allclose(fitted.predict_proba(X[:1])[0], fitted.predict_proba(X)[0], atol=1e-6)
    figure = fitted.explain(X[0])
    shown = figure.axes[0].images[0].get_array()
    assert shown.max() < 0.2


def test_skips_unreadable_images_of_a_collection_with_a_warning(colours, album):
    (album / "red/1.png").write_bytes(b"no image")
    with pytest.warns(UserWarning, match=r"1 of 4 images cannot be read .*red/1\.png") as caught:
        labels = colours.predict(album)
    assert caught[0].filename == __file__
    assert labels["red/1.png"] is None
    assert labels["red/0.png"] == "red"
    with pytest.warns(UserWarning, match="1 of 4"):
        probs = colours.predict_proba(album)
    assert probs.loc["red/1.png"].isna().all()
    assert probs.drop("red/1.png").notna().all(axis=None)


def test_refuses_a_single_unreadable_image(colours, tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"")
    for form in (path, b"no image"):
        with pytest.raises(BadImageError):
            colours.predict(form)
    with pytest.raises(BadImageError, match="none of the 2 image"):
        colours.predict([path, path])


@pytest.mark.parametrize(
    ("data", "error"),
    [
        ("no/such/file.png", DataNotFoundError),
        ("no/such/folder", DataNotFoundError),
        ([], EmptyDataError),
        (np.zeros((0, 8, 8)), EmptyDataError),
        (object(), ValueError),
        (None, ValueError),
    ],
)
def test_refuses_what_holds_no_image(colours, data, error):
    with pytest.raises(error):
        colours.predict(data)


def test_predicts_images_of_any_size(colours):
    for shape in ((1, 1), (300, 20), (20, 300)):
        image = Image.new("RGB", shape, made.COLOURS["red"])
        assert colours.predict(image) == "red"


# ---------------------------------------------------------------------- labels


@pytest.mark.parametrize(
    "labels",
    [["a", "b"], [3, 7], [True, False], [0.5, 1.5], ["ü" * 40, "日本"]],
    ids=["text", "int", "bool", "float", "unicode"],
)
def test_labels_keep_their_type(labels, tmp_path):
    images = [made.patch(name, i) for i in range(8) for name in ("blue", "red")]
    y = labels * 8
    classifier = made.quick(net=made.linear(classes=2), epochs=6).fit(images, y)
    assert sorted(classifier.classes_.tolist()) == sorted(labels)
    predicted = classifier.predict(images)
    assert predicted.dtype.kind == np.asarray(labels).dtype.kind
    assert predicted.tolist() == y
    assert type(classifier.predict(images[0])) is type(predicted[0])
    assert classifier.score(images, y) == 1
    loaded = ImageClassifier.load(classifier.save(tmp_path / "model"), net=made.linear(classes=2))
    assert loaded.predict(images).tolist() == y
    assert loaded.classes_.dtype == classifier.classes_.dtype


def test_labels_of_mixed_types_come_back_as_they_were():
    images = [made.patch(name, i) for i in range(8) for name in ("blue", "red")]
    classifier = made.quick(net=made.linear(classes=2), epochs=6).fit(images, [1, "one"] * 8)
    assert classifier.predict(images).tolist() == [1, "one"] * 8


def test_floats_between_0_and_1_are_pixels(digits):
    X, y = digits.train
    classifier = made.quick().fit(X / 16, y)
    pixels = classifier.data_.pixels[:, :, :, 0].reshape(len(X), -1)
    np.testing.assert_allclose(pixels, X / 16 * 255, atol=0.51)


# ---------------------------------------------------------------------- judging


def test_evaluates_by_default_with_accuracy_f1_and_its_own_metric(digits):
    classifier = made.quick(metric="log_loss").fit(*digits.train)
    assert list(classifier.evaluate(*digits.test)) == ["accuracy", "f1_macro", "log_loss"]


def test_evaluates_with_every_metric_as_scikit_learn_does(fitted, digits):
    from sklearn import metrics as sk

    X, y = digits.test
    names = ["accuracy", "top_5", "f1_macro", "balanced_accuracy", "roc_auc", "log_loss", "confusion_matrix"]
    values = fitted.evaluate(X, y, metrics=names)
    probs, labels = fitted.predict_proba(X).astype(float), fitted.predict(X)
    assert list(values) == names
    assert values["accuracy"] == pytest.approx(sk.accuracy_score(y, labels))
    assert values["top_5"] == pytest.approx(sk.top_k_accuracy_score(y, probs, k=5))
    assert values["f1_macro"] == pytest.approx(sk.f1_score(y, labels, average="macro"))
    assert values["balanced_accuracy"] == pytest.approx(sk.balanced_accuracy_score(y, labels))
    probs /= probs.sum(axis=1, keepdims=True)
    assert values["roc_auc"] == pytest.approx(sk.roc_auc_score(y, probs, multi_class="ovr"), abs=1e-6)
    assert values["log_loss"] == pytest.approx(sk.log_loss(y, probs), abs=1e-4)
    np.testing.assert_array_equal(values["confusion_matrix"], sk.confusion_matrix(y, labels))


def test_evaluates_with_one_name_and_with_a_callable(fitted, digits):
    def sure(y_true, probs):
        return float(probs.max(axis=1).mean())

    assert list(fitted.evaluate(*digits.test, metrics="top_2")) == ["top_2"]
    assert list(fitted.evaluate(*digits.test, metrics=sure)) == ["sure"]
    assert 0.1 < fitted.evaluate(*digits.test, metrics=["accuracy", sure])["sure"] <= 1
    with pytest.raises(UnknownNameError, match="accurracy"):
        fitted.evaluate(*digits.test, metrics=["accurracy"])


def test_evaluates_folders_by_name_of_class_and_the_test_part_of_parts(colours, tmp_path):
    made.colour_folder(tmp_path / "parts/train", count=3)
    made.colour_folder(tmp_path / "parts/test", count=2, first=50)
    matrix = colours.evaluate(tmp_path / "parts", metrics=["confusion_matrix"])["confusion_matrix"]
    assert matrix.to_numpy().tolist() == [[2, 0], [0, 2]]
    assert list(matrix.index) == ["blue", "red"]


def test_names_unseen_classes_of_the_test_set(colours, tmp_path):
    folder = made.colour_folder(tmp_path / "three", count=2, classes=("blue", "green", "red"))
    with pytest.raises(LabelError, match=r"2 of 6 images have 1 classes .*'green'"):
        colours.evaluate(folder)


def test_evaluating_needs_labels(colours, digits, tmp_path):
    Image.fromarray(made.patch("red", 0)).save(tmp_path / "a.png")
    with pytest.raises(LabelError):
        colours.evaluate(tmp_path)
    with pytest.raises(LabelError):
        colours.evaluate([tmp_path / "a.png"])
    with pytest.raises(LabelError, match="no label"):
        colours.evaluate([tmp_path / "a.png", tmp_path / "a.png"], ["red", None])
    with pytest.raises(LabelError):
        colours.evaluate([tmp_path / "a.png"], ["red", "blue"])


def test_leaves_unreadable_images_out_of_the_judgement(colours, album):
    (album / "red/0.png").write_bytes(b"")
    with pytest.warns(UserWarning, match="1 of 4"):
        assert colours.evaluate(album)["accuracy"] == 1
    for path in album.rglob("*.png"):
        path.write_bytes(b"")
    with pytest.raises(BadImageError, match="none of the 4"):
        colours.evaluate(album)


# ---------------------------------------------------------------------- looking inside


def test_leaderboard_has_a_row_a_trial_and_shares_that_add_up(fitted):
    board = fitted.leaderboard()
    assert sorted(board["trial_id"]) == [0, 1]
    assert board["accuracy"].is_monotonic_decreasing
    assert board["weight"].sum() == pytest.approx(1)
    assert board["label_smoothing"].dtype.kind == "f"
    assert board["net/width"].dtype.kind == "i"
    assert set(board["state"]) == {"completed"}


def test_summary_is_json_and_agrees_with_the_classifier(fitted):
    import json

    summary = fitted.fit_summary()
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary
    assert summary["validation_score"] == fitted.validation_score_
    assert summary["validation_score"] >= summary["best_trial_score"]
    assert summary["num_trials"] == 2
    assert summary["images"] == 200
    assert summary["images_held_out"] == summary["validated_on"] == 40
    assert sum(m["weight"] for m in summary["ensemble"]) == pytest.approx(1)


def test_changing_what_it_returns_does_not_change_the_classifier(fitted):
    board = fitted.leaderboard()
    board["weight"] = -1.0
    fitted.fit_summary()["classes"].clear()
    assert (fitted.leaderboard()["weight"] >= 0).all()
    assert len(fitted.fit_summary()["classes"]) == 10


@pytest.mark.parametrize(
    "kind", ["curves", "incumbent", "importance", "parallel", "slices", "timeline", "confusion"]
)
def test_plots_every_kind(fitted, kind, tmp_path):
    figure = fitted.plot(kind)
    figure.savefig(tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 1000


def test_confusion_plot_shows_the_held_out_counts(fitted):
    texts = [int(t.get_text()) for t in fitted.plot("confusion").axes[0].texts]
    assert sum(texts) == 40


def test_names_the_kinds_of_plots(fitted):
    with pytest.raises(UnknownNameError, match=r"curves.*confusion"):
        fitted.plot("pie")


def test_report_is_one_offline_page_with_the_score(fitted, tmp_path):
    path = fitted.report(tmp_path / "new folder" / "report.html")
    page = path.read_text()
    assert f"{fitted.validation_score_:.4f}" in page
    assert "http://" not in page.replace("http://www.w3.org", "")


def test_explains_one_image_for_the_predicted_or_a_named_class(fitted, album):
    path = album / "red/0.png"
    predicted = fitted.predict(path)
    assert fitted.explain(path).axes[1].get_title().startswith(f"{predicted}: ")
    assert fitted.explain(path, 7).axes[1].get_title().startswith("7: ")
    with pytest.raises(LabelError, match="'green'"):
        fitted.explain(path, "green")
    with pytest.raises(OptionError, match="one image, got 4"):
        fitted.explain(album)
    (album / "red/1.png").write_bytes(b"")
    with pytest.raises(BadImageError):
        fitted.explain(album / "red/1.png")


def test_a_network_without_maps_explains_nothing(colours):
    with pytest.raises(OptionError, match="nothing to explain"):
        colours.explain(made.patch("red", 0))


def test_explains_images_of_every_kind(fitted, digits):
    fitted.explain(digits.X[0].reshape(8, 8), 3)
    fitted.explain(Image.fromarray(made.patch("red", 0)))
    fitted.explain(made.patch("red", 0))


# ---------------------------------------------------------------------- determinism


def test_the_same_seed_gives_the_same_search_and_network(digits):
    def board(**params):
        options = {"precision": "fp32"}  # "auto" follows the clock
        fitted = made.quick(net=net, num_trials=4, training=options, **params).fit(*digits.train)
        kept = fitted.leaderboard().drop(columns=["seconds", "worker"])
        return kept.sort_values("trial_id", ignore_index=True), fitted.predict_proba(digits.test[0])

    net = made.linear()
    first, probs = board(seed=5)
    again, same_probs = board(seed=5)
    pd.testing.assert_frame_equal(first, again)
    np.testing.assert_array_equal(probs, same_probs)
    parallel, parallel_probs = board(seed=5, num_workers=2)
    pd.testing.assert_frame_equal(first, parallel)
    np.testing.assert_allclose(probs, parallel_probs, atol=1e-5)
    other, _ = board(seed=6)
    assert not first["accuracy"].equals(other["accuracy"])


def test_no_global_generator_is_touched(digits, tmp_path):
    import random

    import torch

    def states():
        return random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # noqa: NPY002

    before = states()
    classifier = ImageClassifier(num_trials=1, epochs=1, verbosity=0).fit(*digits.train)
    ImageClassifier.load(classifier.save(tmp_path / "model")).predict(digits.X[:3])
    assert states() == before


def test_a_users_module_is_not_trained_in_place(digits):
    net = made.linear()
    before = {k: v.clone() for k, v in net.state_dict().items()}
    classifier = made.quick(net=net, num_trials=2).fit(*digits.train)
    assert all((before[k] == v).all() for k, v in net.state_dict().items())
    twin = ImageClassification.fit(*digits.train, net=net, num_trials=2, epochs=1, verbosity=0)
    np.testing.assert_allclose(classifier.predict_proba(digits.X[:9]), twin.predict_proba(digits.X[:9]))


def test_fits_again_from_scratch(digits, colours):
    classifier = made.quick().fit(*digits.train)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        classifier.set_params(net=made.linear(classes=2))
        classifier.fit([made.patch(n, i) for i in range(6) for n in ("blue", "red")], ["b", "r"] * 6)
    assert classifier.classes_.tolist() == ["b", "r"]
