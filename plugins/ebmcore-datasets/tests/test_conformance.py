"""The data through ebmcore's own conformance kit, found as an installed plugin's."""

from typing import ClassVar

import pytest

from ebmcore.testing import DatasetSuite


class TestGaussianMixture(DatasetSuite):
    component = "gaussian_mixture"


class TestOneWideGaussian(DatasetSuite):
    component = "gaussian_mixture"
    params: ClassVar = {"centers": [[1.0, -1.0]], "std": 1.5, "n": 3000}


class TestUnequalWeightsOnALine(DatasetSuite):
    component = "gaussian_mixture"
    params: ClassVar = {"centers": [[-2.0], [1.0]], "weights": [3.0, 1.0]}


class TestDigits(DatasetSuite):
    component = "digits"
    params: ClassVar = {"classes": [0, 1]}


class TestFile(DatasetSuite):
    component = "file"

    @pytest.fixture(autouse=True)
    def _written(self, tmp_path, monkeypatch):
        path = tmp_path / "three.csv"
        path.write_text("1.0,2.0\n0.5,-1.0\n-2.0,0.0\n")
        monkeypatch.setattr(type(self), "params", {"path": str(path)})
