import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.metrics import roc_auc_score

from dfray.evaluation import report_charts as figures
from dfray.evaluation.robustness import PostProcessingDrop
from dfray.tables import SCORES


def by_name(figure):
    return {trace.name.split(" · ")[0].split(" (")[0]: trace for trace in figure.data if trace.name}


def area(trace) -> float:
    return float(np.trapezoid(trace.y, trace.x))


def methods_of(scored):
    """Return (dataset, method) of all fakes."""
    columns = (scored.videos[name].to_pylist() for name in ("dataset", "method", "label"))
    return {(dataset, method) for dataset, method, label in zip(*columns, strict=True) if label}


def test_each_roc_curve_encloses_its_auc_and_says_it(make_scored):
    scored = make_scored(30, datasets=("one", "two"), lost=("no_face",))
    curves = by_name(figures.roc_chart(scored.videos, methods_of(scored)))
    assert set(curves) == {
        "overall",
        *(f"{d} / {m}" for d in ("one", "two") for m in ("swap", "mouth")),
    }
    rows = [
        row
        for row in scored.videos.to_pylist()
        if row["dataset"] == "two" and row["method"] in ("source", "swap")
    ]
    auc = roc_auc_score([r["label"] for r in rows], [r["fake_probability"] for r in rows])
    assert area(curves["two / swap"]) == pytest.approx(auc)
    assert curves["two / swap"].name.endswith(f" · {auc:.3f}")


def test_only_the_methods_named_have_a_curve(make_scored):
    chart = figures.roc_chart(make_scored(30).videos, ())
    assert [name.split(" ")[0] for name in by_name(chart)] == ["overall"]


def test_a_long_roc_curve_is_thinned_and_keeps_its_ends(make_scored, monkeypatch):
    monkeypatch.setattr(figures, "MAX_CURVE_POINTS", 20)
    curve = by_name(figures.roc_chart(make_scored(100, skill=0.1).videos, ()))["overall"]
    assert len(curve.x) == 20
    assert (curve.x[0], curve.y[0], curve.x[-1], curve.y[-1]) == (0, 0, 1, 1)


def test_a_histogram_holds_every_score_once_and_the_threshold():
    rng = np.random.default_rng(0)
    scores, labels = np.append(rng.random(200), [0.0, 1.0, 1.0 + 1e-7]), np.arange(203) % 2
    figure = figures.histogram_chart(scores, labels, 0.3, "videos")
    for trace, label in zip(figure.data, (0, 1), strict=True):
        assert trace.customdata[:, 2].sum() == np.sum(labels == label)
        assert sum(trace.y) == pytest.approx(1)
    assert figure.layout.shapes[0].x0 == 0.3
    assert figure.layout.annotations[0].text == "threshold 0.3"


def test_the_projection_is_that_of_the_principal_components(make_scored):
    faces = make_scored(10).faces
    traces = by_name(figures.projection_chart(faces, seed=0))
    assert set(traces) == {"real", "face swap", "reenactment"}
    points = PCA(2).fit_transform(np.array(faces.column("embedding").to_pylist(), np.float64))
    is_real = np.array(faces.column("category").to_pylist()) == "real"
    found = np.stack([traces["real"].x, traces["real"].y], axis=1)
    np.testing.assert_allclose(np.abs(found), np.abs(points[is_real]), atol=1e-4)


def test_faces_of_every_category_are_in_the_projection(make_scored):
    categories = {"real": ["camera"], "FS": ["swap"], "RE": ["mouth"], "fake": ["unknown"]}
    faces = make_scored(8, methods=categories).faces
    traces = figures.projection_chart(faces, seed=0).data
    assert len(traces) == len({(t.marker.symbol, t.marker.color) for t in traces}) == 4
    assert sum(len(trace.x) for trace in traces) == faces.num_rows


def test_charts_of_scores_hold_every_row_of_their_table(make_scored):
    """Whatever its category: a fake of unknown kind is a fake in every chart."""
    categories = {"real": ["camera"], "FS": ["swap"], "RE": ["mouth"], "fake": ["unknown"]}
    scored = make_scored(8, methods=categories)
    for item, table in (("videos", scored.videos), ("faces", scored.faces)):
        values = (table[name].to_numpy() for name in ("fake_probability", "label"))
        bars = figures.histogram_chart(*values, 0.5, item).data
        assert sum(bar.customdata[:, 2].sum() for bar in bars) == table.num_rows
    methods = {("demo", name) for name in ("swap", "mouth", "unknown")}
    assert len(by_name(figures.roc_chart(scored.videos, methods))) == 1 + 3  # overall


def test_no_axis_of_a_rate_goes_beyond_one(make_scored):
    drop = PostProcessingDrop("noise", "level", 1.0, (1.0, 2.0), (0.999, 0.9))
    assert figures.drops_chart([drop]).layout.yaxis.range[1] == 1
    bars = figures.histogram_chart(np.ones(3), np.array([0, 1, 1]), 0.5, "videos")
    assert bars.layout.yaxis.autorangeoptions.clipmax == 1
    history = [{"epoch": n, "selection_loss": 1 - 0.1 * n, "val_auc": 1.0} for n in range(3)]
    chart = dict(figures.training_charts(history))["Validation videos, mean over datasets"]
    assert chart.layout.yaxis.autorangeoptions.clipmax == 1


def test_the_projection_is_bounded_and_drawn_from_the_seed(make_scored, monkeypatch):
    monkeypatch.setattr(figures, "MAX_POINTS", 25)
    faces = make_scored(20).faces
    one, again, other = (figures.projection_chart(faces, seed) for seed in (1, 1, 2))
    assert sum(len(trace.x) for trace in one.data) == 25
    assert one == again
    assert one != other


@pytest.mark.parametrize("embedding", [[1.0], [2.0, 2.0, 2.0]])
def test_embeddings_without_two_directions_still_give_a_picture(make_scored, embedding):
    rows = [row | {"embedding": embedding} for row in make_scored(3).faces.to_pylist()]
    figure = figures.projection_chart(SCORES.from_rows(rows), seed=0)
    assert sum(len(trace.x) for trace in figure.data) == len(rows)


def test_training_curves_leave_out_what_says_nothing_and_mark_the_epoch_kept():
    history = [
        {
            "epoch": epoch,
            "lr": 1e-3,
            "steps": 5,
            "train_loss": 1.0 - 0.1 * epoch,
            "train_cross_entropy": 1.0 - 0.1 * epoch,
            "train_triplet": 0.0,
            "val_loss": loss,
            "selection_loss": loss,
        }
        for epoch, loss in enumerate([0.9, 0.6, 0.7])
    ]
    (loss_title, loss), (lr_title, lr) = figures.training_charts(history)
    assert (loss_title, lr_title) == ("Loss", "Learning rate")
    assert [trace.name for trace in loss.data] == ["train loss", "val loss"]
    assert list(loss.data[1].y) == [0.9, 0.6, 0.7]
    assert loss.layout.shapes[0].x0 == lr.layout.shapes[0].x0 == 1


def test_every_term_of_the_objective_has_its_curve():
    terms = ("loss", "cross_entropy", "alignment", "uniformity", "metric", "triplet")
    history = [
        {"epoch": epoch, "selection_loss": 0.5, "train_active_triplets": 0.25 + epoch}
        | {f"train_{term}": place + 0.1 * epoch for place, term in enumerate(terms, 1)}
        for epoch in range(2)
    ]
    ((title, figure),) = figures.training_charts(history)
    assert title == "Loss"
    assert [trace.name for trace in figure.data] == [f"train {t}".replace("_", " ") for t in terms]


def test_metrics_of_validation_videos_are_no_losses_and_have_a_chart_of_their_own():
    history = [
        {"epoch": epoch, "val_loss": 0.9, "val_log_loss": 0.8}
        | {"val_auc": 0.6 + 0.1 * epoch, "val_average_precision": 0.7}
        for epoch in range(2)
    ]
    (_, loss), (title, auc) = figures.training_charts(history)
    assert [trace.name for trace in loss.data] == ["val loss", "val log loss"]
    assert title == "Validation videos, mean over datasets"
    assert [trace.name for trace in auc.data] == ["val auc", "val average precision"]


def test_lines_of_a_chart_do_not_look_alike():
    history = [{"epoch": 0} | {f"train_{term}": 1.0 + term for term in range(12)}]
    ((_, figure),) = figures.training_charts(history)
    looks = {(t.line.color, t.line.dash, t.marker.symbol) for t in figure.data}
    dashes = {(t.line.color, t.line.dash) for t in figure.data}
    assert len(looks) == len(dashes) == 12


def test_labels_are_escaped(make_scored):
    evil = "<img src=x onerror=alert(1)>"
    scored = make_scored(3, methods={"real": ["source"], "FS": [evil]})
    names = [
        trace.name
        for trace in figures.roc_chart(scored.videos, methods_of(scored)).data
        if trace.name
    ]
    hovers = [
        text for trace in figures.projection_chart(scored.faces, 0).data for text in trace.text
    ]
    assert any("&lt;img" in name for name in names)
    assert any("&lt;img" in text for text in hovers)
    assert not any(evil in text for text in [*names, *hovers])
