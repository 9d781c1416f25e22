"""MLflow and the example of the guide through the conformance kit, as any plugin's trackers."""

import pytest

from ebmcore.testing import TrackerSuite
from support.tracking import documented

pytestmark = pytest.mark.plugins  # the kit is one


class TestTheGuidesTable(TrackerSuite):
    component = documented()
    params = {"file": "runs.db"}  # noqa: RUF012


@pytest.mark.slow
class TestMLflow(TrackerSuite):
    component = "mlflow"

    @pytest.fixture(autouse=True)
    def in_the_store(self, store, tmp_path):
        """All checks use one database, which takes seconds to make."""
        self.params = {"uri": f"sqlite:///{tmp_path}/mlflow.db"}
