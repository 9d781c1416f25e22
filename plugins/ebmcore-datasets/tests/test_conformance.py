"""The data through ebmcore's own conformance kit, found as an installed plugin's."""

from typing import ClassVar

import pytest
from PIL import Image

from ebmcore.testing import DatasetSuite


class TestGaussianMixture(DatasetSuite):
    component = "gaussian_mixture"


class TestOneWideGaussian(DatasetSuite):
    component = "gaussian_mixture"
    params: ClassVar = {"centers": [[1.0, -1.0]], "std": 1.5, "n": 3000}


class TestUnequalWeightsOnALine(DatasetSuite):
    component = "gaussian_mixture"
    params: ClassVar = {"centers": [[-2.0], [1.0]], "weights": [3.0, 1.0]}


class TestEightGaussians(DatasetSuite):
    component = "eight_gaussians"


class TestEightNearGaussians(DatasetSuite):
    component = "eight_gaussians"
    params: ClassVar = {"radius": 1.0, "std": 0.5, "n": 3000}


class TestRings(DatasetSuite):
    component = "rings"


class TestRingsOfUnequalWeight(DatasetSuite):
    component = "rings"
    params: ClassVar = {"radii": [0.3, 2.5], "weights": [1.0, 4.0], "std": 0.2, "n": 3000}


class TestCheckerboard(DatasetSuite):
    component = "checkerboard"


class TestSmallCheckerboard(DatasetSuite):
    component = "checkerboard"
    params: ClassVar = {"squares": 2, "side": 0.7, "n": 3000}


class TestSoftCheckerboard(DatasetSuite):
    component = "checkerboard"
    params: ClassVar = {"squares": 3, "std": 0.2}


class TestPinwheel(DatasetSuite):
    component = "pinwheel"


class TestThreeArmsTheOtherWay(DatasetSuite):
    component = "pinwheel"
    params: ClassVar = {"arms": 3, "twist": -0.8, "radius": 1.5, "tangential_std": 0.3}


class TestTwoSpirals(DatasetSuite):
    component = "two_spirals"


class TestShortSpirals(DatasetSuite):
    component = "two_spirals"
    params: ClassVar = {"turns": 0.7, "radius": 2.0, "std": 0.3, "n": 3000}


class TestMoons(DatasetSuite):
    component = "moons"


class TestNoisyMoons(DatasetSuite):
    component = "moons"
    params: ClassVar = {"radius": 1.0, "std": 0.4, "n": 3000}


class TestSines(DatasetSuite):
    component = "sines"
    params: ClassVar = {"n": 500}


class TestSinesOfTwoFrequencies(DatasetSuite):
    component = "sines"
    params: ClassVar = {"n": 500, "length": 12, "cycles": [1.0, 2.5], "std": 0.3}


class TestBinaryDigits(DatasetSuite):
    component = "binary_digits"


class TestDigits(DatasetSuite):
    component = "digits"
    params: ClassVar = {"classes": [0, 1]}


class TestMnist(DatasetSuite):
    component = "mnist"

    @pytest.fixture(autouse=True)
    def _installed(self, stand_in):
        stand_in([[0] * 784 + [3], [255] * 784 + [8]])


class TestFile(DatasetSuite):
    component = "file"

    @pytest.fixture(autouse=True)
    def _written(self, tmp_path, monkeypatch):
        path = tmp_path / "three.csv"
        path.write_text("1.0,2.0\n0.5,-1.0\n-2.0,0.0\n")
        monkeypatch.setattr(type(self), "params", {"path": str(path)})


class TestImages(DatasetSuite):
    component = "images"

    @pytest.fixture(autouse=True)
    def _written(self, tmp_path, monkeypatch):
        for number in range(3):
            Image.new("L", (4, 5), 40 * number).save(tmp_path / f"{number}.png")
        monkeypatch.setattr(type(self), "params", {"path": str(tmp_path)})


class TestTimeSeries(DatasetSuite):
    component = "time_series"

    @pytest.fixture(autouse=True)
    def _written(self, tmp_path, monkeypatch):
        path = tmp_path / "three.ts"
        path.write_text("@classLabel true a b\n@data\n1,2,3:a\n4,5:b\n6,7,8:a\n")
        monkeypatch.setattr(type(self), "params", {"path": str(path)})
