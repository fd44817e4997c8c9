"""Clusters that a build starts are closed to everybody else on the machine, and one that asks for certificates gets them."""

from __future__ import annotations

import socket
import stat
from pathlib import Path

import dask.array
import dask.config
import pytest
import urllib3
from distributed import Client, Security
from support.clusters import cluster
from support.trees import same_as

from nutonic import load_recipe
from nutonic.errors import InputError, Unreachable
from nutonic.run.clusters.cluster import Cluster, connected
from nutonic.run.run import build

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(120)]


@pytest.mark.long
def test_nobody_else_gets_into_a_cluster_of_this_machine():
    with connected(Cluster(workers=1)) as client:
        address = client.scheduler.address
        assert address.startswith("tls://127.0.0.1:")
        for other, security in ((address.replace("tls", "tcp"), None), (address, Security.temporary())):
            with pytest.raises((OSError, TypeError)):
                Client(other, timeout="3s", security=security, set_as_default=False)
        info = client.scheduler_info()
        worker = next(iter(info["workers"].values()))
        ports = [info["services"]["dashboard"], worker["services"]["dashboard"]]
        for port in ports:
            answer = urllib3.request("GET", f"http://127.0.0.1:{port}/json/counts.json", retries=False)
            assert answer.status == 404
        assert client.submit(sum, [1, 2]).result() == 3
        scratch = Path(worker["local_directory"]).parents[1]
        assert stat.S_IMODE(scratch.stat().st_mode) == 0o700
    assert not scratch.exists()


@pytest.mark.long
def test_a_cluster_of_this_machine_hardly_wakes_while_it_has_nothing_to_do():
    """By Dask's own settings each of the five wakes 60 to 70 times a second."""

    def wakes_a_second(dask_scheduler=None, dask_worker=None) -> float:
        callbacks = (dask_scheduler or dask_worker).periodic_callbacks.values()
        return sum(1000 / each.callback_time for each in callbacks if each.is_running())

    with connected(Cluster(workers=2)) as client:
        found = [client.run_on_scheduler(wakes_a_second)]
        for nanny in (False, True):
            found += client.run(wakes_a_second, nanny=nanny).values()
    assert len(found) == 5
    assert max(found) <= 20, found


@pytest.fixture
def certificates(tmp_path) -> dict[str, Path]:
    """Files of an authority's certificate, and of a certificate and key for both sides."""
    made = Security.temporary()
    texts = {"ca": made.tls_ca_file, "cert": made.tls_client_cert, "key": made.tls_client_key}
    paths = {name: tmp_path / f"{name}.pem" for name in texts}
    for name, path in paths.items():
        path.write_text(texts[name])
    return paths


@pytest.mark.sampled(one_in=2, among="clusters")
def test_a_scheduler_with_certificates_is_used_with_the_files_that_are_given(certificates, clean, tmp_path):
    ca, cert, key = (certificates[name] for name in ("ca", "cert", "key"))
    tls = {"CA_FILE": ca} | {
        f"{side}__{kind}": path for side in ("SCHEDULER", "WORKER") for kind, path in (("CERT", cert), ("KEY", key))
    }
    environment = {f"DASK_DISTRIBUTED__COMM__TLS__{name}": str(path) for name, path in tls.items()}
    with cluster(tmp_path, workers=1, DASK_DISTRIBUTED__COMM__DEFAULT_SCHEME="tls", **environment) as dask:
        assert dask.address.startswith("tls://")
        files = {"tls_ca": ca, "tls_cert": cert, "tls_key": key}
        assert build(
            load_recipe(clean.recipe), tmp_path / "out", workers=Cluster(scheduler=dask.address, **files)
        ).complete
        with pytest.raises(InputError, match=r"tls:// needs --tls-ca, --tls-cert and --tls-key"):
            build(load_recipe(clean.recipe), tmp_path / "other", workers=Cluster(scheduler=dask.address))
        assert not (tmp_path / "other").exists()
    same_as(tmp_path / "out", clean)


@pytest.mark.long
@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("tls://127.0.0.1:1", "tls:// needs"),
        ("ucx://127.0.0.1:1", "cannot use a Dask scheduler at ucx://"),
        ("http://127.0.0.1:1", "http://127.0.0.1:1 is that of a web page"),
        ("HTTP://127.0.0.1:1", "HTTP://127.0.0.1:1 is that of a web page"),
        ("here", "no address of a Dask scheduler: write tcp://HOST:PORT"),
    ],
)
def test_an_address_that_is_none_is_one_line(clean, tmp_path, address, words):
    with pytest.raises(InputError, match=words) as told:
        build(load_recipe(clean.recipe), tmp_path / "out", workers=Cluster(scheduler=address))
    assert len(str(told.value).splitlines()) == 1
    assert not (tmp_path / "out").exists()
    assert dask.array.ones(3).sum().compute() == 3  # and whoever goes on computes as before


@pytest.mark.long
def test_where_no_scheduler_answers_dask_keeps_its_configuration():
    with socket.socket() as taken, dask.config.set(scheduler="synchronous"):
        taken.bind(("127.0.0.1", 0))  # and does not listen
        with pytest.raises(Unreachable), connected(Cluster(scheduler=f"tcp://127.0.0.1:{taken.getsockname()[1]}")):
            pass
        assert dask.config.get("scheduler") == "synchronous"


def test_a_certificate_that_is_not_there_is_named(clean, tmp_path):
    with pytest.raises(InputError, match=r"there is no file .*nowhere\.pem"):
        build(
            load_recipe(clean.recipe),
            tmp_path / "out",
            workers=Cluster(scheduler="tls://127.0.0.1:1", tls_ca=tmp_path / "nowhere.pem"),
        )
