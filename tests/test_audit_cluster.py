"""An audit on a real Ray cluster of several nodes, one of which is lost underway."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scenecheck.audit import Limits, audit
from scenecheck.audit.messages import ModelChoice
from scenecheck.feeds import load
from scenecheck.store import open_store
from tests.audits import Watcher, audit_here, pictures, rows, run, write_inventory
from tests.models import make_tiny_model

N_FEEDS = 150


def test_without_ray_the_engine_says_what_to_install(tmp_path: Path) -> None:
    inventory = write_inventory(tmp_path, pictures(1))
    # A module of that name that cannot be imported hides Ray where it is installed.
    (tmp_path / "ray.py").write_text("raise ModuleNotFoundError('no ray')")
    done = run("audit", inventory, "--db", tmp_path / "a.db", "--engine", "ray", PYTHONPATH=str(tmp_path))
    assert (done.returncode, done.stdout) == (2, "")
    assert "no-ray" in done.stderr
    assert "pip install 'scenecheck[ray]'" in done.stderr


@pytest.fixture
def cluster() -> Iterator[Any]:
    """Two nodes of one CPU each and one of none, where the auditor is."""
    pytest.importorskip("ray", reason="pip install 'scenecheck[ray]'")
    from ray.cluster_utils import Cluster

    running = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    try:
        yield running
    finally:
        import ray

        with contextlib.suppress(Exception):
            ray.shutdown()
        running.shutdown()


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.filterwarnings("ignore")
def test_a_lost_node_loses_no_feed(tmp_path: Path, cluster: Any) -> None:
    from scenecheck.audit.cluster import RayEngine, cluster_cpus

    (tmp_path / "tiny").mkdir()
    tiny = make_tiny_model(tmp_path / "tiny").card_path
    inventory = write_inventory(tmp_path, pictures(N_FEEDS))
    audit_here(inventory, tmp_path / "right.db", tiny)
    nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
    cluster.wait_for_nodes()
    assert cluster_cpus(cluster.address) == 2
    lost: list[int] = []

    def lose_a_node(n: int) -> None:
        if n >= 30 and not lost:
            lost.append(n)
            cluster.remove_node(nodes[0], allow_graceful=False)

    engine = RayEngine(ModelChoice(tiny), n_threads=8, address=cluster.address)
    limits = Limits(workers=2, jobs=8, per_host=4)
    with contextlib.closing(engine), open_store(str(tmp_path / "city.db")) as store:
        audited = audit(load(inventory), store, engine, limits=limits, progress=Watcher(lose_a_node))
    assert audited.is_finished
    assert lost
    assert lost[0] < N_FEEDS
    assert rows(tmp_path / "city.db") == rows(tmp_path / "right.db")
