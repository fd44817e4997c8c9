"""A driver that saves a cube and kills itself at a chosen write: run as ``python saving_driver.py FOLDER OUT AT MOMENT``.

OUT is a path, or an address in an object store.

AT counts the tiles that were written by this process; -1 for never. MOMENT is before, torn (half of a temporary is on the
disk) or after. Prints how many tiles it wrote.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

import dask
from odc.geo.geobox import GeoBox

import nutonic as nt
import nutonic.cube.save
import nutonic.cube.stores.saving
import nutonic.cube.stores.transactions
from nutonic.testing import COLLECTION


def cube_of(folder: Path):
    source = nt.StacSource(url=str(folder / "items.json"), collection=COLLECTION, masks=("scl",))
    whole = nt.search(nt.area_grid(GeoBox((1000, 1200), _transform(), "EPSG:32633")), [source])
    cube = nt.open_cube(whole.on(whole.geobox[200:700, 300:900]), [source], chunks=256)
    return nt.reduce.median(nt.reduce.mask(cube)).assign(scl=cube["scl"].isel(time=[0, 5]))


def _transform():
    from affine import Affine

    return Affine(10, 0, 722_340, 0, -10, 5_176_780)


def main(folder: str, out: str, at: str, moment: str) -> None:
    module, verb = nutonic.cube.save, "write_chunk"
    if "://" in out:
        plain = (nutonic.cube.stores.saving, "put_chunk")
        module, verb = (nutonic.cube.stores.transactions, "put_in_fork") if "+" in out else plain
    true, lock, count = getattr(module, verb), threading.Lock(), 0

    def write_chunk(pixels, path, name, *rest):
        nonlocal count
        with lock:
            mine, count = count, count + 1
        if mine == int(at) and moment != "after":
            if moment == "torn":
                place = Path(path, name, "c", *["0"] * (len(rest[-1]) - 1))
                place.mkdir(parents=True, exist_ok=True)
                (place / f"0.{'a' * 32}.partial").write_bytes(b"half")
            os.kill(os.getpid(), signal.SIGKILL)
        written = true(pixels, path, name, *rest)
        if mine == int(at):
            os.kill(os.getpid(), signal.SIGKILL)
        return written

    setattr(module, verb, write_chunk)
    with dask.config.set(scheduler="threads", num_workers=2):
        nt.save_cube(cube_of(Path(folder)), out)
    print(count)


if __name__ == "__main__":
    main(*sys.argv[1:])
