"""What a system lacks, refuses or closes; who else uses it; and what an environment may be broken by."""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path
from tempfile import TemporaryDirectory

import pyproj

from hostile.row import BUILD, PLAN, VERIFY, Here, Row, Tree, both, finished, plain
from hostile.trees import begun
from hostile.worlds import CANARY, file, folder, link, part, served, sparse

SAME, CLEAN, RESUMED, ANY = Tree.SAME, Tree.CLEAN, Tree.RESUMED, Tree.ANY
CUBE = "cube recipe.yaml --out out --area 17.95,46.66,17.97,46.68"
LONG = "x" * 300
NOBODY = {"permissions": True}


def closed(*names: str) -> object:
    """Folders in which nobody may write, for the time of the command."""

    def world(here: Here) -> None:
        for name in names:
            path = here.folder / name
            path.mkdir(parents=True, exist_ok=True)
            path.chmod(0o555)
            here.stack.callback(path.chmod, 0o755)
            here.heal.append(lambda path=path: path.chmod(0o755))

    return world


def unreadable(name: str) -> object:
    """A file that nobody may read."""

    def world(here: Here) -> None:
        (here.folder / name).chmod(0)
        here.heal.append(lambda: (here.folder / name).chmod(0o644))

    return world


def socket_at(name: str) -> object:
    """A socket, in place of a file."""

    def world(here: Here) -> None:
        (here.folder / name).unlink(missing_ok=True)
        with TemporaryDirectory() as short:  # addresses of sockets have 107 bytes
            listening = here.stack.enter_context(socket.socket(socket.AF_UNIX))
            listening.bind(f"{short}/s")
            Path(short, "s").rename(here.folder / name)

    return world


def limited(name: str, command: str, code: int, says: str, tree: Tree, world=plain, **limits: object) -> Row:
    return Row(name, world, command, code, says, tree, limits=limits, megabytes=400)


PROCESSES = [
    *(
        limited(f"{n} handles: {command.split()[0]}", command, 1, "no file handle is left", ANY, world, handles=n)
        for n in (0, 1, 3, 6)
        for command, world in ((BUILD, plain), (PLAN, plain), (VERIFY, finished), (CUBE, plain))
    ),
    *(
        limited(f"{n} MB of memory: {command.split()[0]}", command, 1, "memory", ANY, world, address_space=n * 10**6)
        for n in (300, 700)
        for command, world in ((BUILD, plain), (PLAN, plain), (VERIFY, finished), (CUBE, plain))
    ),
    *(
        limited(f"umask {umask:04o}", BUILD, 2, f"umask {umask:04o}", Tree.NONE, umask=umask, **NOBODY)
        for umask in (0o700, 0o200, 0o577)
    ),
    *(
        limited(f"umask {umask:04o}", BUILD, 0, "built 3 places", CLEAN, umask=umask, **NOBODY)
        for umask in (0o077, 0o027, 0)
    ),
    *(
        limited(f"{stream} is {how}: verify", VERIFY, code, "", SAME, finished, outputs={stream: how})
        for stream, codes in (("stdout", (1, 1, 0)), ("stderr", (0, 0, 0)), ("both", (1, 1, 0)))  # no use unseen
        for how, code in zip(("closed", "full", "unread"), codes, strict=True)
    ),
    *(
        limited(f"{stream} is {how}: plan as JSON", "plan recipe.yaml --json", 1, "", Tree.NONE, outputs={stream: how})
        for stream in ("stdout",)
        for how in ("full",)
    ),
    limited(
        "a folder that is read-only",
        "build recipe.yaml --out closed/out --workers 0",
        2,
        "may not be written",
        Tree.NONE,
        closed("closed"),
        **NOBODY,
    ),
    limited("a tree that is read-only", BUILD, 0, "nothing to do", SAME, finished, **NOBODY),
    limited("recipes that may not be read", PLAN, 2, "recipe.yaml", Tree.NONE, unreadable("recipe.yaml"), **NOBODY),
    limited("places that may not be read", PLAN, 2, "ermission denied", Tree.NONE, unreadable("pois.csv"), **NOBODY),
    limited("items that may not be read", PLAN, 2, "ermission denied", Tree.NONE, unreadable("items.json"), **NOBODY),
    limited(
        "labels that may not be read", PLAN, 2, "ermission denied", Tree.NONE, unreadable("land_cover.tif"), **NOBODY
    ),
    limited(
        "a scene that may not be read", BUILD, 1, "ermission denied", RESUMED, unreadable("west/red.tif"), **NOBODY
    ),
    *(
        Row(f"an output called {what}", plain, f"build recipe.yaml --out {name} --workers 0", 2, says)
        for what, name, says in (
            ("/", "/", "'/' is no name"),
            ("..", "..", "no name for an output"),
            ("too long", LONG, "too long"),
            ("too deep", "/".join(["y" * 200] * 30), "bytes of"),
            ("with a line break", "a\nb", "control characters"),
            ("below a file", "pois.csv/out", "is a file"),
            ("below a device", "/dev/null/out", "nutonic:"),
            ("in /proc", "/proc/out", "nutonic:"),
            ("a device", "/dev/full", "nutonic:"),
        )
    ),
    Row(
        "a scheduler that is not there",
        plain,
        "build recipe.yaml --out out --scheduler tcp://127.0.0.1:1",
        1,
        "no Dask scheduler",
    ),
    *(
        Row(f"a scheduler at {address}", plain, f"build recipe.yaml --out out --scheduler {address}", 2, says)
        for address, says in (
            ("tcp://127.0.0.1", "missing port number"),
            ("tcp://[", "invalid address"),
            ("tcp://a:b", "int()"),
            ("127.0.0.1:x", "no address"),
            ("ssh://a:1", "unknown address scheme"),
            ("inproc://1/2/3", "inproc"),
            ("tcp://127.0.0.1:1?token=x", "no address of a Dask"),
        )
    ),
    Row(
        "a scheduler that is a file server",
        served(),
        "build recipe.yaml --out out --scheduler tcp://SERVER",
        1,
        "no Dask scheduler answers at tcp://127.0.0.1",
    ),
    Row("a limit of 23 digits", plain, f"{BUILD} --limit 99999999999999999999999", 0, "built 3 places", CLEAN),
    *(
        Row(f"a cube called {what}", plain, f"cube recipe.yaml --area 17.95,46.66,17.97,46.68 --out {name}", 2, says)
        for what, name, says in (
            ("/", "/", "'/' is no name"),
            ("too long", LONG, "too long"),
            ("below a file", "pois.csv/c", "is a file"),
            (".", ".", "nutonic:"),
            ("with an escape", "a\x1b[2Jb", "control characters"),
        )
    ),
    *(
        Row(f"arguments: {words.replace('%20', ' ')[:40]!r}", plain, words, 2, says)
        for words, says in (
            ("build", "RECIPE"),
            ("build recipe.yaml", "--out"),
            ("build recipe.yaml --out out --workers -1", "--workers"),
            ("build recipe.yaml --out out --workers many", "--workers"),
            ("build recipe.yaml --out out --limit 0", "--limit"),
            ("plan a%20\x1b[2J", "nutonic:"),
            ("build recipe.yaml --out out --max-requests 0", "--max-requests"),
            ("verify out --rebuild -1", "--rebuild"),
            ("build recipe.yaml --out out --scheduler nowhere", "'nowhere' is no address of a Dask scheduler"),
            ("build recipe.yaml --out out --scheduler=", "is no address of a Dask scheduler"),
            ("cube recipe.yaml --out out --area 1,2,3", "area"),
            ("cube recipe.yaml --out out --area a,b,c,d", "area"),
            ("cube recipe.yaml --out out --area 0,0,180,90", "nutonic:"),
            ("cube recipe.yaml --out out --area nan,0,1,1", "area"),
            ("cube recipe.yaml --out out --area 18,47,17,46", "nutonic:"),
            ("no-\x1b[31mcommand", "No such command"),
            ("build recipe.yaml --out out --workers 0 --performance-report a.html", "nutonic:"),
            ("init no-such a.yaml", "template"),
            ("demo --labels x", "--labels"),
        )
    ),
]


TLS = "build recipe.yaml --out out --scheduler tls://127.0.0.1:1 --tls-ca ca.pem --tls-cert ca.pem --tls-key ca.pem"

PROCESSES += [
    *(
        Row(f"certificates that are {what}", world, TLS, 2, "ca.pem")
        for what, world in {
            "text": file("ca.pem", "x"),
            "nothing": file("ca.pem", ""),
            "a folder": folder("ca.pem"),
            "1 TB": sparse("ca.pem", 2**40),
            "/dev/zero": link("ca.pem", "/dev/zero"),
            "not there": plain,
        }.items()
    ),
    *(
        limited(f"no current folder: {command}", command, 2, "current folder is not", Tree.NONE, vanished=True)
        for command in (BUILD, BUILD[:-1] + "1", PLAN, CUBE, "verify out", "demo --workers 0", "init a.yaml")
    ),
    *(
        Row(f"a recipe for an output: {command}", plain, command, 2, "recipe.yaml")
        for command in (
            "build recipe.yaml --out recipe.yaml --workers 0",
            f"{CUBE.replace('--out out', '--out recipe.yaml')} --overwrite",
            f"{CUBE} --cogs recipe.yaml",
            "demo --out recipe.yaml",
        )
    ),
    *(
        Row(f"a socket for an output: {command}", socket_at("s"), command, 2, "s is")
        for command in ("build recipe.yaml --out s --workers 0", "verify s", "demo --out s", "plan recipe.yaml --out s")
    ),
    *(
        Row(f"{name} is a socket", socket_at(name), PLAN, 2, name)
        for name in ("recipe.yaml", "pois.csv", "items.json", "land_cover.tif")
    ),
]


# Other users


def planted(name: str, mode: int = 0o777) -> object:
    """A folder of everybody's for temporary files, with something in it that somebody else put there."""

    def world(here: Here) -> None:
        (here.folder / "tmp").mkdir()
        (here.folder / "tmp").chmod(0o1777)
        (here.folder / "victim").mkdir()
        (here.folder / "tmp" / name).symlink_to(here.folder / "victim")
        here.environment["TMPDIR"] = str(here.folder / "tmp")

    return world


def shadowed(name: str) -> object:
    """A module of this name lies where the command is started; whoever imports it leaves a trace."""
    return file(f"{name}.py", "open('ran', 'w').write('ran')\nraise SystemExit(99)\n")


def home(**files: str) -> object:
    """A home with files in it."""

    def world(here: Here) -> None:
        for name, content in files.items():
            here.write(f"home/{name.replace('__', '/')}", content)
        here.environment |= {"HOME": str(here.folder / "home")}

    return world


def gdalrc(option: str) -> object:
    """A home with GDAL's configuration of its own."""
    return home(**{".gdal__gdalrc": f"[configoptions]\n{option}\n"})


def told_by_environment(**variables: str) -> object:
    """Variables for a program that may be forked."""
    return lambda here: here.environment.update(variables)


NETRC = f"default login me password {CANARY}\n"
COLD = {"NUTONIC_COLD": "1"}
WORKER = "build recipe.yaml --out out --workers 1"

USERS = [
    *(
        Row(f"a link {name} among temporary files", planted(name), WORKER, 0, "built 3 places", CLEAN, 150, 400)
        for name in (
            "dask-scratch-space",
            "dask-worker-space",
            "nutonic-",
            "nutonic",
            f"dask-scratch-space-{os.getuid()}",
        )
    ),
    Row(
        "temporary files in a folder of nobody",
        lambda h: h.environment.update(TMPDIR="/nowhere"),
        BUILD,
        0,
        "3 places",
        CLEAN,
    ),
    *(
        Row(
            f"workers that cannot start: {name}={value}",
            told_by_environment(**{f"DASK_DISTRIBUTED__{name}": value}),
            WORKER,
            1,
            f"cannot start workers: {says}",
            ANY,
            150,
            400,
        )
        for name, value, says in (
            ("NANNY__PRELOAD", "no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
            ("WORKER__PRELOAD", "no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
            ("SCHEDULER__PRELOAD", "no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
            ("WORKER__MULTIPROCESSING_METHOD", "nonsense", "ValueError: cannot find context for 'nonsense'"),
            ("COMM__TIMEOUTS__CONNECT", "nonsense", "KeyError: 'Invalid time unit: nonsense"),
        )
    ),
    *(
        Row(f"a module {name} beside the recipe", shadowed(name), BUILD, 0, "built 3 places", CLEAN, 60, 200, COLD)
        for name in ("yaml", "rasterio", "affine", "sitecustomize", "dask", "nutonic", "secrets")
    ),
    *(
        Row(
            f"a module {name} beside the recipe, with a worker",
            shadowed(name),
            WORKER,
            0,
            "built 3 places",
            CLEAN,
            90,
            400,
            COLD,
        )
        for name in ("yaml", "distributed", "numpy", "tornado")
    ),
    Row("a .netrc", home(**{".netrc": NETRC}), BUILD, 0, "built 3 places", CLEAN),
    Row(
        "a dask.yaml that is none",
        home(**{".config__dask__a.yaml": "[" * 99}),
        PLAN.replace(" --out out", ""),
        0,
        "",
        Tree.NONE,
    ),
    Row("a gdalrc without GeoTIFFs", gdalrc("GDAL_SKIP=GTiff"), BUILD, 2, "unset GDAL_SKIP", Tree.NONE, 60, 200, COLD),
    *(
        Row(f"a gdalrc of {option}", gdalrc(option), BUILD, 0, "built 3 places", CLEAN, 60, 200, COLD)
        for option in ("GDAL_GEOREF_SOURCES=NONE", "GTIFF_HONOUR_NEGATIVE_SCALEY=YES", "GDAL_PAM_ENABLED=YES")
    ),
    Row("a home of nobody", lambda h: h.environment.update(HOME="/nowhere"), BUILD, 0, "built 3 places", CLEAN),
    Row("no home", lambda h: h.environment.update(HOME=""), BUILD, 0, "built 3 places", CLEAN),
    limited("a folder of somebody else's", BUILD, 2, "nutonic:", SAME, both(folder("out"), closed("out")), **NOBODY),
    limited(
        "temporary files in a closed folder",
        BUILD,
        0,
        "built 3 places",
        CLEAN,
        both(closed("tmp"), lambda h: h.environment.update(TMPDIR=str(h.folder / "tmp"))),
        **NOBODY,
    ),
    Row(
        "proxies with passwords",
        lambda h: h.environment.update(
            {f"{k}_proxy": f"http://me:{CANARY}@127.0.0.1:1" for k in ("http", "https", "HTTP", "HTTPS")}
        ),
        BUILD,
        0,
        "3 places",
        CLEAN,
    ),
]


# Broken environments


def broken(code: int, says: str, tree: Tree = Tree.NONE, **variables: str) -> Row:
    name = " ".join(f"{key}={value[:20]}" for key, value in variables.items())
    return Row(name, plain, BUILD, code, says, tree, 60, 200, variables)


def without_proj(here: Here) -> None:
    """An installation whose PROJ has lost its database."""
    installed = Path(pyproj.__file__).parent
    target = here.folder.parent / "site"
    shutil.copytree(installed, target / "pyproj", ignore=shutil.ignore_patterns("proj.db", "__pycache__"))
    for libraries in installed.parent.glob("pyproj.libs"):
        (target / libraries.name).symlink_to(libraries)
    here.environment |= {"PYTHONPATH": str(target), "PROJ_DATA": "/nowhere", "PROJ_LIB": "/nowhere"}
    here.heal.append(here.environment.clear)


def missing(module: str) -> object:
    """An installation in which a library cannot be loaded."""

    def world(here: Here) -> None:
        path = here.folder.parent / "site" / f"{module}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"raise ImportError('lib{module}.so: cannot open shared object file')\n")
        here.environment["PYTHONPATH"] = str(path.parent)

    return world


FINE = (0, "built 3 places", CLEAN)
ENVIRONMENT = [
    *(
        broken(*FINE, **{name: value})
        for name, _, value in (
            pair.partition("=")
            for pair in (
                "GDAL_DATA=/nowhere",
                "GDAL_DRIVER_PATH=/nowhere",
                "GDAL_CACHEMAX=0",
                "GDAL_SKIP=VRT",
                "GDAL_PAM_ENABLED=YES",
                "GDAL_DISABLE_READDIR_ON_OPEN=EMPTY_DIR",
                "GTIFF_SRS_SOURCE=EPSG",
                "GTIFF_REPORT_COMPD_CS=YES",
                "OSR_DEFAULT_AXIS_MAPPING_STRATEGY=AUTHORITY_COMPLIANT",
                "GDAL_VRT_ENABLE_PYTHON=YES",
                "GDAL_PYTHON_DRIVER_PATH=.",
                "GDAL_CONFIG_FILE=recipe.yaml",
                "CPL_DEBUG=ON",
                "CPL_LOG=/dev/full",
                "CPL_CURL_VERBOSE=YES",
                "PROJ_NETWORK=ON",
                "PROJ_DEBUG=9",
                "PROJ_CURL_CA_BUNDLE=/nowhere",
                "PYTHONHASHSEED=1",
                "PYTHONHASHSEED=4294967295",
                "PYTHONOPTIMIZE=2",
                "PYTHONWARNINGS=default",
                "PYTHONIOENCODING=ascii",
                "PYTHONUTF8=0",
                "PYTHONASYNCIODEBUG=1",
                "PYTHONMALLOC=debug",
                "PYTHONNOUSERSITE=1",
                "PYTHONDONTWRITEBYTECODE=1",
                "PYTHONINTMAXSTRDIGITS=0",
                "PYTHONDEVMODE=1",
                "PYTHONFAULTHANDLER=1",
                "LC_ALL=C",
                "LC_ALL=nonsense",
                "LC_NUMERIC=de_DE.UTF-8",
                "LANG=tr_TR.UTF-8",
                "TZ=Asia/Kathmandu",
                "TZ=../../etc/passwd",
                "TZ=",
                "COLUMNS=0",
                "COLUMNS=-5",
                "LINES=x",
                "TERM=",
                "TERM=xterm-\x1b",
                "NO_COLOR=",
                "FORCE_COLOR=1",
                "TTY_COMPATIBLE=1",
                "OMP_NUM_THREADS=0",
                "OPENBLAS_NUM_THREADS=1",
                "ZARR_ARRAY__ORDER=F",
                "XARRAY_x=y",
                "SOURCE_DATE_EPOCH=0",
                "PAGER=touch ran",
                "DASK_ARRAY__CHUNK_SIZE=1B",
                "DASK_SCHEDULER=nonsense",
                "NUMBA_DISABLE_JIT=1",
                "MALLOC_PERTURB_=7",
                "RASTERIO_ENV=x",
            )
        )
    ),
    broken(2, "PYTHONWARNINGS", PYTHONWARNINGS="error"),
    broken(*FINE, PYTHONWARNINGS="error::DeprecationWarning"),  # nothing that is old is used
    broken(2, "PROJ_DATA", PROJ_DATA="/nowhere"),
    broken(2, "PROJ_DATA", PROJ_DATA=""),
    broken(2, "PROJ_LIB", PROJ_LIB="/nowhere"),
    broken(2, "GDAL_SKIP", GDAL_SKIP="GTiff"),
    broken(2, "NUTONIC_HTTP_TIMEOUT", NUTONIC_HTTP_TIMEOUT="soon"),
    broken(2, "NUTONIC_HTTP_TIMEOUT", NUTONIC_HTTP_TIMEOUT="-1"),
    broken(2, "NUTONIC_HTTP_TIMEOUT", NUTONIC_HTTP_TIMEOUT="nan"),
    broken(2, "NUTONIC_HTTP_TIMEOUT", NUTONIC_HTTP_TIMEOUT="inf"),
    broken(2, "NUTONIC_HTTP_TIMEOUT", NUTONIC_HTTP_TIMEOUT="1e300"),
    broken(2, "NUTONIC_HTTP_TIMEOUT", NUTONIC_HTTP_TIMEOUT="0"),
    broken(*FINE, NUTONIC_HTTP_TIMEOUT=""),
    Row("a PROJ without its database", without_proj, BUILD, 2, "PROJ_DATA", ANY, 60, 200, COLD),
    Row(
        "a PROJ without its database, planned before",
        both(begun, without_proj),
        BUILD,
        2,
        "PROJ_DATA",
        RESUMED,
        60,
        200,
        COLD,
    ),
    *(
        Row(f"{module} cannot be loaded", missing(module), BUILD, 2, "nutonic:", ANY, 60, 200, COLD)
        for module in (
            "rasterio",
            "pyproj",
            "PIL",
            "deflate",
            "numpy",
            "xarray",
            "shapely",
            "cc3d",
            "obstore",
        )
    ),
    Row("pyarrow cannot be loaded", missing("pyarrow"), BUILD, *FINE, 60, 200, COLD),  # nothing here is Parquet
    Row(
        "pyarrow cannot be loaded, and places are Parquet",
        both(file("a.parquet", "PAR1"), part("pois", path="a.parquet"), missing("pyarrow")),
        BUILD,
        2,
        "pyarrow",
        Tree.NONE,
        60,
        200,
        COLD,
    ),
]
