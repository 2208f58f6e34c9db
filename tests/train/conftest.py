"""A reduced problem, a network of a few hundred weights, and runs that are trained once per session."""

import pytest

from tests.train import tiny


@pytest.fixture(autouse=True, scope="session")
def tiny_network():
    """The network "tiny", by name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(tiny.networks.NETWORKS, "tiny", tiny.build_tiny)
        yield


@pytest.fixture(scope="session")
def undisturbed(tiny_network):
    """(model, history) of a run of three epochs that was not stopped and saved nothing."""
    return tiny.fit()


@pytest.fixture(scope="session")
def finished(tiny_network, tmp_path_factory):
    """(folder, model, history): the same run with checkpoints."""
    folder = tmp_path_factory.mktemp("runs") / "new" / "state"
    return folder, *tiny.fit(folder=folder)


@pytest.fixture(scope="session")
def stopped(tiny_network, tmp_path_factory):
    """The checkpoints of the same run, stopped within its second epoch."""
    folder = tmp_path_factory.mktemp("stopped") / "state"
    with pytest.raises(KeyboardInterrupt):
        tiny.fit(folder=folder, callbacks=[tiny.StopIn(2)])
    return folder
