"""The command line. A user's mistake gives at most five lines on stderr and exit code 2, never a traceback."""

from __future__ import annotations

import io
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, NoReturn

import click
import orjson

from nutonic._version import __version__
from nutonic.cli import logs
from nutonic.cli.lacks import lack_of, open_standard_streams, refuse_lacks, silence
from nutonic.errors import InputError, NutonicError, StoreError
from nutonic.io.atomic import BESIDE, refuse_overlong, refuse_unusable
from nutonic.io.buckets.address import Address, Place, place_of

OK, INCOMPLETE, MISTAKE, INTERRUPTED = 0, 1, 2, 130


class _Path(click.Path):
    """A path that may be; of an output, one at which something may be made. Others are refused before any work."""

    def __init__(self, *, output: bool = False, beside: int = 0) -> None:
        super().__init__(path_type=Path)
        self._output, self._beside = output, beside

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path; raises what :func:`nutonic.io.atomic.refuse_unusable` raises, and InputError if it is too long."""
        if not str(value) or "\0" in str(value):
            raise InputError(f"{str(value)!r} is no path: name one")
        path = Path(str(super().convert(value, param, ctx)))
        if self._output:
            refuse_unusable(path, beside=self._beside)
        refuse_overlong(path)
        return path


class _Tree(_Path):
    """A folder of a dataset, or its address in an object store."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path or the address; raises InputError of an address that is none."""
        place = place_of(value) if isinstance(value, str) else value
        return place if isinstance(place, Address) else super().convert(value, param, ctx)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="nutonic")
@click.pass_context
def cli(context: click.Context) -> None:
    """Turn places on Earth into image–text datasets for fine-tuning vision-language models."""
    refuse_lacks(context.invoked_subcommand or "")


def _at_a_scheduler(command: Callable[..., None]) -> Callable[..., None]:
    """The options of a command that may use a running scheduler; the files are called as in Dask's own commands."""
    file = _Path()
    for option in (
        click.option("--tls-key", type=file, metavar="FILE", help="This client's key, for a scheduler at tls://."),
        click.option("--tls-cert", type=file, metavar="FILE", help="This client's certificate."),
        click.option("--tls-ca", type=file, metavar="FILE", help="The certificate of the authority that signed both."),
        click.option("--scheduler", metavar="ADDRESS", help="Use a running Dask scheduler instead."),
    ):
        command = option(command)
    return command


@cli.command()
@click.argument("template", required=False)
@click.argument("path", required=False)
def init(template: str | None, path: str | None) -> None:
    """Write a commented recipe to start from, or texts that a recipe can name instead of nutonic's own.

    TEMPLATE is nutonic, the default, or rsteller, a recipe of patches; PATH is recipe.yaml unless you say otherwise.
    wording and prompts write templates, of rows and for models, into a new folder of that name; tags writes the policy that
    says what a picture shows of a map, into tags.yaml. Edit them, and name them in rows.wording, captions.prompts, osm.tags.
    """
    from nutonic.recipe.template import NAMES
    from nutonic.recipe.template import template as recipe_template

    if template in ("wording", "prompts"):
        _write_texts("wording" if template == "wording" else "prompts", Path(path or template))
        return
    if template == "tags":
        from nutonic.recipe.templates import builtin

        target = Path(path or "tags.yaml")
        _write_new(target, builtin("tags")["text"], f"edit it, and say  osm: {{tags: {target}}}  in a recipe beside it")
        return
    if template not in NAMES and path is not None:
        others = ", ".join((*NAMES, "wording", "prompts", "tags"))
        raise click.ClickException(f"{template!r} is not a template: use {others}")
    name, target = (
        (template, Path(path or "recipe.yaml")) if template in NAMES else ("nutonic", Path(template or "recipe.yaml"))
    )
    keys = "imagery, patches and osm" if name == "rsteller" else "pois.path, imagery and labels"
    _write_new(target, recipe_template(name or "nutonic"), f"set {keys}, then run  nutonic plan {target}")


def _write_texts(kind: Literal["wording", "prompts"], folder: Path) -> None:
    from nutonic.recipe.templates import SUFFIX, builtin

    refuse_unusable(folder)
    try:
        folder.mkdir()
        for name, text in builtin(kind).items():
            (folder / f"{name}{SUFFIX[kind]}").write_text(text, encoding="utf-8")
    except FileExistsError:
        raise click.ClickException(f"{folder} exists: name another folder") from None
    except OSError as error:
        raise click.ClickException(f"cannot write {folder}: {(error.strerror or 'unwritable').lower()}") from None
    where = f"rows: {{wording: {folder}}}" if kind == "wording" else f"captions: {{prompts: {folder}}}"
    click.echo(f"wrote {folder}: edit its templates, and say  {where}  in a recipe beside it")


def _write_new(path: Path, text: str, then: str) -> None:
    refuse_unusable(path)
    try:
        with path.open("x", encoding="utf-8") as file:  # not through a link either
            file.write(text)
    except FileExistsError:
        raise click.ClickException(f"{path} exists: name another file") from None
    except OSError as error:
        raise click.ClickException(f"cannot write {path}: {(error.strerror or 'unwritable').lower()}") from None
    click.echo(f"wrote {path}: {then}")


@cli.command()
@click.argument("recipe", type=_Path())
@click.option("--out", type=_Tree(output=True), help="Keep the plan in this folder, ready to be built.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def plan(recipe: Path, out: Place | None, as_json: bool) -> None:
    """Search scenes and say what a build will take; reads no pixels."""
    from nutonic.cli import console
    from nutonic.planning.cost import default_workers, refuse_too_large
    from nutonic.planning.kinds import plan as planned_of
    from nutonic.planning.kinds import planned_into
    from nutonic.planning.pins import missing_files
    from nutonic.recipe.yaml import load_recipe

    loaded = load_recipe(recipe)
    if out is not None:
        plan_file = planned_into(loaded, out)[1]
        header, rejects, scenes = plan_file.header, plan_file.rejects, list(plan_file.scenes)
    else:
        planned = planned_of(loaded)
        refuse_too_large(planned.cost, Path.cwd(), default_workers())
        header, rejects, scenes = planned.header(), planned.rejects, planned.scenes()
    missing = missing_files(scenes)
    if as_json:
        _print_json({**header, "rejected": [_reject_json(reject) for reject in rejects], "missing": missing})
    else:
        console.show_plan(header, rejects, missing)


@cli.command()
@click.argument("recipe", type=_Path())
@click.option("--out", type=_Tree(output=True), required=True, help="Folder of the dataset, or s3://BUCKET/PATH.")
@click.option(
    "--workers", type=click.IntRange(min=0), help="Worker processes; 0 builds without dask. Default: one per core."
)
@_at_a_scheduler
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Only the first N places.")
@click.option("--replan", is_flag=True, help="Search again; what was built from another plan is built anew.")
@click.option(
    "--max-requests",
    type=click.IntRange(min=1),
    metavar="N",
    help="HTTP requests in flight, all workers together. Default: 8 in each.",
)
@click.option(
    "--max-cost",
    type=click.FloatRange(min=0),
    metavar="N",
    help="Patches: ask for captions until they have cost so much.",
)
@click.option("--answers", type=_Path(), metavar="FILE", help="Patches: answers to requests that wait, by a batch API.")
@click.option("--dashboard", is_flag=True, help="Start Dask's dashboard, and say where it is.")
@click.option(
    "--performance-report",
    type=_Path(output=True, beside=BESIDE),
    metavar="FILE",
    help="Write Dask's performance report, an HTML page.",
)
@click.option("--json", "as_json", is_flag=True, help="The summary as one JSON object on stdout.")
@click.option("--log-json", is_flag=True, expose_value=False, help="One JSON object a line on stderr instead of text.")
def build(
    recipe: Path,
    out: Place,
    limit: int | None,
    replan: bool,
    max_cost: float | None,
    answers: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Build a dataset. Run again, it resumes; finished, it does nothing.

    Ctrl-C lets what is in flight be finished; pressed again, it stops at once.
    """
    from nutonic.cli import console
    from nutonic.cli.interrupts import Interrupts
    from nutonic.recipe.yaml import load_recipe
    from nutonic.run.cluster import Cluster
    from nutonic.run.run import build as run_build

    loaded, cluster = load_recipe(recipe), Cluster(**options)
    console.show_start(recipe, out)
    try:
        with Interrupts() as interrupts:
            with console.progress() as progress:
                callbacks = [interrupts, progress]
                extent: dict[str, Any] = {"limit": limit, "replan": replan, "max_cost": max_cost, "answers": answers}
                summary = run_build(loaded, out, workers=cluster, callbacks=callbacks, **extent)
            if as_json:
                _print_json(console.summary_json(summary))
            console.show_summary(summary, out)
    except KeyboardInterrupt:
        _end_interrupted()
    if interrupts.stop_requested() and not summary.complete:
        _end_interrupted()
    sys.exit(OK if summary.succeeded else INCOMPLETE)


def _end_interrupted() -> NoReturn:
    _print_error("interrupted: the same command goes on from here", "interrupted")
    sys.exit(INTERRUPTED)


@cli.command()
@click.argument("recipe", type=_Path())
@click.option("--out", type=_Path(output=True, beside=BESIDE), required=True, help="The cube, such as cube.zarr.")
@click.option("--area", metavar="W,S,E,N", help="In degrees, or a GeoJSON file; by default the recipe's cube.area.")
@click.option("--cogs", type=_Path(output=True), metavar="DIR", help="Write a GeoTIFF per variable here too.")
@click.option("--workers", type=click.IntRange(min=0), help="Worker processes. Default: threads of this one.")
@_at_a_scheduler
@click.option("--overwrite", is_flag=True, help="Replace another cube.")
@click.option("--json", "as_json", is_flag=True, help="What it is made of as one JSON object on stdout.")
def cube(
    recipe: Path, out: Path, area: str | None, cogs: Path | None, overwrite: bool, as_json: bool, **options: Any
) -> None:
    """Save a recipe's imagery and labels over an area and time as Zarr. Run again, it resumes."""
    from nutonic.cli.cube import save_recipe_cube
    from nutonic.recipe.yaml import load_recipe, of_places
    from nutonic.run.cluster import Cluster

    cluster = Cluster(**options)
    saved = save_recipe_cube(
        of_places(load_recipe(recipe)), out, area=area, cogs=cogs, cluster=cluster, overwrite=overwrite
    )
    if as_json:
        _print_json(saved)


@cli.command()
@click.argument("directory", metavar="DIR", type=_Tree())
@click.option("--deep", is_flag=True, help="Read every file, and make again what follows from something else.")
@click.option("--fix", is_flag=True, help="Remove what is damaged; the next build makes just that again.")
@click.option(
    "--rebuild",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="Make N places again from their sources, and compare bytes.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def verify(directory: Place, deep: bool, fix: bool, rebuild: int, as_json: bool) -> None:
    """Prove a dataset whole: exit code 0 whole, 1 not whole, 2 not a nutonic tree."""
    from nutonic.cli import console
    from nutonic.run.rebuild import verify as run_verify

    verdict = run_verify(directory, deep=deep, fix=fix, rebuild=rebuild)
    if as_json:
        _print_json({"whole": verdict.whole, **asdict(verdict)})
    else:
        console.show_verdict(verdict, directory)
    sys.exit(OK if verdict.whole else INCOMPLETE)


@cli.command()
@click.argument("directory", metavar="DIR", type=_Path())
@click.option("--format", "form", required=True, metavar="FORM", help="parquet, or a trainer's: see docs/packs.md.")
@click.option("--out", type=_Path(output=True), required=True, help="Folder of the pack, beside the dataset.")
@click.option("--boxes", metavar="NAME", help="How boxes are written. Default: as the form's own models write them.")
@click.option("--shard-mb", type=click.IntRange(min=1), default=500, show_default=True, help="Megabytes of a shard.")
@click.option("--workers", type=click.IntRange(min=0), help="Worker processes; 0 packs without dask.")
@_at_a_scheduler
@click.option("--json", "as_json", is_flag=True, help="What is there as one JSON object on stdout.")
@click.option("--log-json", is_flag=True, expose_value=False, help="One JSON object a line on stderr instead of text.")
def pack(
    directory: Path, form: str, out: Path, boxes: str | None, shard_mb: int, as_json: bool, **options: Any
) -> None:
    """Pack a finished dataset into the form of a trainer, the Hub or a map. Run again, it resumes.

    The dataset is only read. Ctrl-C lets the shards in flight be finished; pressed again, it stops at once.
    """
    from nutonic.cli import console
    from nutonic.cli.interrupts import Interrupts
    from nutonic.run.cluster import Cluster
    from nutonic.run.packs.pack import pack as run_pack

    try:
        with Interrupts() as interrupts, console.progress() as progress:
            made: dict[str, Any] = {"format": form, "boxes": boxes, "shard_mb": shard_mb, "workers": Cluster(**options)}
            packed = run_pack(directory, out, callbacks=[interrupts, progress], **made)
    except KeyboardInterrupt:
        _end_interrupted()
    if as_json:
        _print_json({**asdict(packed), "complete": packed.complete})
    console.show_packed(packed, out)
    if interrupts.stop_requested() and not packed.complete:
        _end_interrupted()
    sys.exit(OK if packed.complete else INCOMPLETE)


@cli.command()
@click.argument("source", metavar="RECIPE|DIR", type=_Path())
@click.option("-n", "n", type=click.IntRange(1, 60), default=6, show_default=True, help="How many chips.")
@click.option("--out", type=_Path(output=True), metavar="FILE", help="The page; by default preview.html, here.")
def preview(source: Path, n: int, out: Path | None) -> None:
    """Look at a few chips before a build: with boxes, captions and a map, as one HTML page.

    They are made as a build makes them, of places drawn at random. Of a dataset's folder, they are its own.
    """
    from nutonic.dataset.report.report import refuse_other
    from nutonic.run.preview.preview import preview as make_preview

    path = out or Path("preview.html")
    refuse_other(path)  # before any work
    made = make_preview(source, n)
    click.echo(made.report.state)
    click.echo(f"wrote {made.save(path)}: open it in a browser")
    sys.exit(OK if made.chips else INCOMPLETE)


@cli.command()
@click.argument("directory", metavar="DIR", type=_Path())
@click.option("--out", type=_Path(output=True), metavar="FILE", help="The page; by default report.html in DIR.")
def report(directory: Path, out: Path | None) -> None:
    """Write what a dataset holds as one HTML page, to be looked at offline; of an unfinished one too."""
    from nutonic.dataset.report.report import report as write_report

    path = write_report(directory, out)
    click.echo(f"wrote {path} ({path.stat().st_size / 1e6:.1f} MB): open it in a browser")


@cli.command()
@click.argument(
    "name", required=False, type=click.Choice(["nutonic", "rsteller"]), default="nutonic", metavar="[rsteller]"
)
@click.option("--out", type=_Path(output=True), default=Path("demo"), show_default=True, help="Folder of the demo.")
@click.option("--workers", type=click.IntRange(min=0), help="Worker processes; 0 builds without dask.")
@click.option(
    "--labels",
    type=click.Choice(["raster", "earthengine"]),
    default="raster",
    show_default=True,
    help="Where the land cover comes from; earthengine: a stand-in that runs meanwhile.",
)
def demo(name: str, out: Path, workers: int | None, labels: str) -> None:
    """Do the main job, offline, on a real Sentinel-2 scene: plan, build, verify.

    With rsteller, the second recipe: shards of captioned patches, from a real extract of OpenStreetMap.
    """
    from nutonic.core.grid import require_proj

    require_proj()  # the demo has a grid of its own

    if name == "rsteller":
        from nutonic.cli.demo.rsteller.command import run_rsteller_demo

        sys.exit(OK if run_rsteller_demo(out, workers) else INCOMPLETE)
    from nutonic.cli.demo.command import run_demo

    sys.exit(OK if run_demo(out, workers, labels) else INCOMPLETE)


def _reject_json(reject: object) -> object:
    return orjson.loads(orjson.dumps(reject))


def _print_json(value: object) -> None:
    try:
        click.echo(logs.document(value, orjson.OPT_INDENT_2))
    except BrokenPipeError:  # whoever read it has gone, and needs no telling
        raise
    except OSError as error:
        silence(1)
        raise StoreError(f"cannot write to the standard output: {(error.strerror or 'unwritable').lower()}") from None


def main(args: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    open_standard_streams()
    # Set before the arguments are parsed, so that mistakes in them are written as JSON too.
    logs.set_json("--log-json" in (sys.argv[1:] if args is None else args))
    _refuse_warnings_as_errors()
    for told in ("Valid PROJ data directory", "pyproj unable to set"):  # as an error, by whoever needs its database
        warnings.filterwarnings("ignore", told, UserWarning)
    try:
        cli.main(args=args, prog_name="nutonic", standalone_mode=False)
    except click.exceptions.Exit as exit_:
        sys.exit(exit_.exit_code)
    except (click.Abort, KeyboardInterrupt):
        _end_interrupted()
    except SystemExit:
        raise
    except BaseException as error:  # the panic of a library in Rust is no Exception
        code = _told(error)
        if code is None:
            raise
        sys.exit(code)


def _told(error: BaseException) -> int | None:
    """Tell what a command ended with; its exit code, or None for what nobody foresaw."""
    lack = lack_of(error)
    if lack is not None:
        _print_error(lack)
        return INCOMPLETE
    if isinstance(error, click.ClickException):
        _print_click(error)
        return MISTAKE
    if isinstance(error, NutonicError):
        _print_error(str(error))
        return _code(error)
    if isinstance(error, Warning):
        _print_error(f"{type(error).__name__}: {str(error)[:200]}: see PYTHONWARNINGS, which makes an error of it")
        return INCOMPLETE
    if isinstance(error, ImportError):
        _print_error(f"a library cannot be loaded: {' '.join(str(error).split())[:300]}; install nutonic anew")
        return MISTAKE
    if not isinstance(error, OSError):
        return None
    if error.filename is None and _is_stdout_unwritable():
        silence(1)
        _print_error(f"cannot write to the standard output: {(error.strerror or 'unwritable').lower()}")
    else:
        where = f": {str(error.filename)[:200]}" if error.filename else ""
        _print_error(f"{error.strerror or error}{where}")
    return INCOMPLETE


def _is_stdout_unwritable() -> bool:
    """Whether what was written to the standard output is still on its way, and stays there."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        return True
    return False


def _refuse_warnings_as_errors() -> None:
    """End with a line where any warning of any library would end a run half-way."""
    odd = next((option for option in sys.warnoptions if option.partition(":")[0] and "error".startswith(option)), None)
    if odd is not None:
        where = "PYTHONWARNINGS" if odd in os.environ.get("PYTHONWARNINGS", "").split(",") else "-W"
        _print_error(f"{where} is {odd}, which makes errors of the warnings of all libraries: run without it")
        sys.exit(MISTAKE)


def _code(error: NutonicError) -> int:
    """The exit code of an error.

    1 if it may go well the next time, since a store, a cluster or a service failed, so that the same command goes on; 2 if
    nothing was done, and would not be.
    """
    from nutonic.errors import CubeChanged, FileMissing, Gone, NotNutonic, ReadFailed, RecipeChanged, Unreachable

    is_final = isinstance(error, NotNutonic | RecipeChanged | CubeChanged | Gone | FileMissing)
    return INCOMPLETE if isinstance(error, StoreError | Unreachable | ReadFailed) and not is_final else MISTAKE


def _print_click(error: click.ClickException) -> None:
    if logs.is_json():
        _print_error(error.format_message())
    else:
        error.show(shown := io.StringIO())
        logs.write(shown.getvalue())


def _print_error(message: str, event: str = "error") -> None:
    lines = message.splitlines()[:5]
    if logs.is_json():
        logs.emit(event, message="\n".join(lines))
    else:
        logs.write("\n".join(["nutonic: " + lines[0], *lines[1:], ""]))
