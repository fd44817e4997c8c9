"""What nutonic adds to xarray: the accessor ``cube.nutonic`` and the engine ``"nutonic"``.

A process that imports nutonic and xarray has the accessor (:mod:`nutonic.cube.registration`). xarray imports this module
when it looks for engines, by the entry point in pyproject.toml, so this module imports little itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from xarray.backends import BackendEntrypoint

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from odc.geo.geobox import GeoBox

    from nutonic.io.buckets.address import AnyPath


class _Elsewhere:
    """An accessor of another library, which is imported when it is first used and then takes this one's place.

    On the class it is not seen, so that the library's own registration finds the name free.
    """

    def __init__(self, name: str, module: str) -> None:
        self._name, self._module = name, module

    def __get__(self, instance: Any, owner: type) -> Any:
        if instance is None:
            raise AttributeError(self._name)
        import_module(self._module)
        return getattr(instance, self._name)


def _add_accessors() -> None:
    """Add ``.rio`` and ``.odc`` to all datasets and arrays, where nobody else has."""
    for owner in (xr.Dataset, xr.DataArray):
        for name, module in (("rio", "rioxarray"), ("odc", "odc.geo.xr")):
            if not hasattr(owner, name) and name not in vars(owner):
                setattr(owner, name, _Elsewhere(name, module))


_add_accessors()


@xr.register_dataset_accessor("nutonic")  # type: ignore[no-untyped-call]
class CubeAccessor:
    """Where a cube lies, what it is made of, and how it looks: ``cube.nutonic``."""

    def __init__(self, cube: xr.Dataset) -> None:
        self._cube = cube

    @property
    def geobox(self) -> GeoBox | None:
        """The grid of the cube's pixels; None for a dataset without y and x, or with pixels of several sizes."""
        from nutonic.core.encoding import own_geobox

        return own_geobox(self._cube)

    @property
    def scenes(self) -> pd.DataFrame:
        """One row per scene, of the steps that the cube still has and of sources without a time axis.

        Columns: ``number`` (the value of the variable ``scene``; none without a time axis), ``step`` (UTC), ``id``,
        ``collection``, ``datetime`` (UTC), ``cloud_cover`` (percent), ``crs``, ``warped`` (whether it is read by nearest
        neighbour), ``assets`` (name to href without query).
        """
        from nutonic.cube.search import SCENES, scene_table

        table = scene_table(self._records(SCENES))
        if "time" not in self._cube.coords:
            return table
        times = np.atleast_1d(self._cube["time"].values)
        return table[table["step"].isna() | table["step"].isin(times)].reset_index(drop=True)

    @property
    def left_out(self) -> pd.DataFrame:
        """Scenes that the search gave and the cube does not use: their ``id``, and ``why``."""
        import pandas as pd

        from nutonic.cube.search import LEFT_OUT

        return pd.DataFrame(self._records(LEFT_OUT), columns=["id", "why"])

    def encoded(self) -> xr.Dataset:
        """The cube as xarray's own ``to_zarr`` and ``to_netcdf`` write it rightly, lazily.

        xarray keeps attributes: of floats that were computed of whole numbers it would write that 0 means nodata, and of
        every second pixel where all of them lay. Here nodata is in each variable's ``encoding`` (NaN of floats), the
        transform is that of the coordinates, and all attributes are such as files take.
        """
        from nutonic.cube.zarr import prepare_cube

        return prepare_cube(self._cube)

    def plot(
        self,
        bands: Sequence[str] | str | None = None,
        *,
        time: int = 0,
        robust: bool = True,
        vmin: float | Sequence[float] | None = None,
        vmax: float | Sequence[float] | None = None,
        cmap: str | None = None,
        ax: Axes | Sequence[Axes] | None = None,
        size: float = 5.0,
    ) -> tuple[Axes, ...]:
        """Draw the cube: its picture, and beside it its classes by name and colour; north up.

        Parameters
        ----------
        bands
            What to draw: three bands as red, green and blue, or one, and variables of classes. By default red, green and
            blue, or the first band, and all classes.
        time
            Which step of a cube over time, from 0.
        robust
            Whether each band goes from its 2nd to its 98th percentile, or from its least to its greatest valid number.
        vmin, vmax
            The numbers that are drawn darkest and brightest, in the cube's own; of three bands also one for each.
        cmap
            Colours of a single band, by matplotlib's name; by default ``"gray"``. What was not observed is black.
        ax
            Where to draw, instead of in a new figure: as many axes as there are parts.
        size
            Side of each part of a new figure, in inches.

        Returns
        -------
        tuple of matplotlib.axes.Axes
            One for the picture, and one for each variable of classes. Only what is drawn is computed.

        Raises
        ------
        InputError
            If there is nothing to draw, or no such step or band, or pixels are of several sizes, or a parameter is none.
        MissingExtra
            If matplotlib is not installed.
        """
        from nutonic.cube.plot import Look, plot

        look = Look(bands=bands, time=time, robust=robust, vmin=vmin, vmax=vmax, cmap=cmap, ax=ax, size=size)
        return plot(self._cube, look)

    def _records(self, name: str) -> list[Any]:
        import orjson

        rows: list[Any] = orjson.loads(self._cube.attrs.get(name, "[]").encode())
        return rows

    def __repr__(self) -> str:
        from nutonic.cube.search import ON_DAMAGE, description_lines

        if self.geobox is None:
            return "no pixels on a grid"
        lines = [*description_lines(self.geobox, self.scenes, self.left_out)]
        if self._cube.attrs.get(ON_DAMAGE) == "skip":
            lines.append("what is missing or damaged of its files is nodata")
        return "\n".join(lines)


class NutonicBackend(BackendEntrypoint):
    """Opens saved cubes as they were saved: ``xr.open_dataset(path, engine="nutonic", chunks={})``."""

    description = "Cubes that nutonic saved: whole numbers with their nodata, and cube.nutonic"
    open_dataset_parameters = ("filename_or_obj", "drop_variables")

    def open_dataset(self, filename_or_obj: Any, *, drop_variables: str | Iterable[str] | None = None) -> xr.Dataset:
        """Open a cube lazily, without decoding it to floats; xarray chunks it."""
        from nutonic.core.encoding import digital_numbers
        from nutonic.cube.zarr import in_order

        if isinstance(filename_or_obj, str | Path):
            filename_or_obj = _as_store(filename_or_obj)
        file = isinstance(filename_or_obj, str | Path) and Path(filename_or_obj).is_file() and Path(filename_or_obj)
        opened = xr.open_dataset(
            filename_or_obj,
            engine=_netcdf_engine(file) if file else "zarr",
            chunks=None,
            mask_and_scale=False,
            drop_variables=drop_variables,
        )
        return digital_numbers(in_order(opened)) if file else in_order(opened)

    def guess_can_open(self, filename_or_obj: Any) -> bool:
        """Whether to open a path for which no engine is named: never, so xarray opens it in its own way."""
        return False


#: How files begin that are netCDF: 4, which are HDF5's, and 3.
_NETCDF_BEGINS = (b"\x89HDF\r\n\x1a\n", b"CDF\x01", b"CDF\x02", b"CDF\x05")


def _netcdf_engine(path: Path) -> str | None:
    """What xarray is to open a netCDF file with; None for whatever it finds itself.

    Raises
    ------
    InputError
        If it is another file.
    MissingExtra
        If nothing here opens it.
    """
    from nutonic.errors import InputError, MissingExtra

    with path.open("rb") as file:
        begins = file.read(8)
    if not begins.startswith(_NETCDF_BEGINS):
        raise InputError(f"{path} is no saved cube, which is a Zarr folder or a netCDF file")
    if not begins.startswith(_NETCDF_BEGINS[0]):
        return None
    if find_spec("h5netcdf") is not None and find_spec("h5py") is not None:
        return "h5netcdf"
    if find_spec("netCDF4") is None:
        raise MissingExtra(f"{path} is netCDF 4, which needs h5netcdf: pip install 'nutonic[netcdf]'")
    return "netcdf4"


def _as_store(path: str | Path) -> Any:
    """An address as what zarr reads it from; a path, and what xarray itself opens, as it is."""
    from nutonic.io.buckets.address import SCHEMES

    scheme = str(path).partition("://")[0].lower()
    return path if scheme.rpartition("+")[2] not in SCHEMES else _store_of(path)


def _store_of(path: str | AnyPath) -> Any:
    """What zarr reads a saved cube from: a path, or a store of an address; InputError if there is none."""
    from nutonic.cube.save import cube_path_of
    from nutonic.cube.stores.transactions import is_repository, reading_store
    from nutonic.cube.stores.views import ObjectsBelow
    from nutonic.errors import InputError
    from nutonic.io.buckets.address import Address
    from nutonic.io.objects import Store

    path = cube_path_of(path)
    if isinstance(path, Address) and is_repository(path):
        return reading_store(path)
    if isinstance(path, Path) and path.is_file():
        return str(path)
    if not Store(path).has("zarr.json"):
        raise InputError(f"{path} is no saved cube: there is no zarr.json in it")
    return ObjectsBelow(path) if isinstance(path, Address) else str(path)


def open_zarr(path: str | AnyPath, *, chunks: Any = "auto") -> xr.Dataset:
    """Open a saved cube lazily, as it was saved: whole numbers, with their nodata value in ``attrs``.

    ``xarray.open_zarr`` opens the same file with NaN for nodata. Functions that take a cube take either.

    Parameters
    ----------
    path
        What :func:`nutonic.save_cube` wrote, or its address in an object store. Each process that computes reads there with
        its own credentials. Of netCDF files also those that xarray wrote of a cube.
    chunks
        As in ``xarray.open_dataset``. By default the file's own tiles; None for a cube without chunks.

    Raises
    ------
    InputError
        If there is no Zarr group at `path`, and no netCDF file.
    MissingExtra
        If it is a netCDF file, and h5netcdf is not installed.
    StoreError
        If an object store does not give it.
    """
    return xr.open_dataset(_store_of(path), engine=NutonicBackend, chunks={} if chunks == "auto" else chunks)
