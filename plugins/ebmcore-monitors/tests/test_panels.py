from ebmcore_monitors.panels import Panels


def offsets(axes):
    return {
        c.get_label(): len(c.get_offsets()) for c in axes.collections if len(c.get_offsets()) > 1
    }


def test_panels_share_axes_and_show_as_many_samples_as_data(view):
    left, middle, right, scale = Panels(n=300)(view)["figure"].axes
    assert offsets(left) == {"data": 300}
    assert offsets(middle) == {"samples": 300}
    assert left.get_xlim() == middle.get_xlim() == right.get_xlim()
    assert left.get_ylim() == middle.get_ylim() == right.get_ylim()
    assert scale.get_ylabel() == "energy (nats)"


def test_panels_show_why_the_samples_are_missing(make_view, mixture):
    middle = Panels()(make_view(mixture, mixture.draw(100)))["figure"].axes[1]
    assert "no sampler" in " ".join(middle.texts[0].get_text().split())
    assert offsets(middle) == {}
