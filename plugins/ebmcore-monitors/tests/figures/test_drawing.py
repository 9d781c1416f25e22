"""Figures of planes are drawn late: elsewhere as here, and without torch."""

import io
import pickle
import subprocess
import sys

from ebmcore_monitors.landscape import Landscape
from ebmcore_monitors.panels import Panels


def image(drawing):
    png = io.BytesIO()
    drawing.savefig(png, format="png")
    return png.getvalue()


def test_a_pickled_drawing_is_the_same_picture(view):
    drawing = Landscape(n=20, points=20)(view)["figure"]
    sent = pickle.dumps(drawing)
    assert image(pickle.loads(sent)) == image(drawing)
    assert drawing.axes == drawing.figure.axes


def test_another_process_draws_it_without_torch(view):
    sent = pickle.dumps(Panels(n=20, points=20)(view)["figure"])
    code = (
        "import pickle, sys; pickle.loads(sys.stdin.buffer.read()); "
        "print({'torch', 'matplotlib'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], input=sent, capture_output=True, check=True)
    assert done.stdout.strip() == b"set()"
