"""The command line. A user's mistake gives at most five lines on stderr and exit code 2, never a traceback."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from nutonic._version import __version__
from nutonic.cli import logs
from nutonic.cli.ending import (
    INCOMPLETE,
    OK,
    end_interrupted,
    plain_json,
    print_json,
    print_text,
    refuse_warnings_as_errors,
    report_error,
    with_results,
)
from nutonic.cli.init import init
from nutonic.cli.keys import FORMS, catalogue, schema
from nutonic.cli.lacks import open_standard_streams, refuse_lacks
from nutonic.cli.paths import AnyPathOf, CubeOf, PathOf
from nutonic.inert import inert
from nutonic.io.atomic import BESIDE
from nutonic.io.buckets.address import AnyPath
from nutonic.run.clusters.patience import ANSWER_S, BATCH_S, NONE_S


class _InOrder(click.Group):
    """Commands in the order in which a person needs them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Their names, as they were added."""
        return list(self.commands)


_BEGIN = """\b
To begin:
  nutonic demo                         a dataset of real pixels, offline
  nutonic init                         a recipe to start from
  nutonic preview recipe.yaml          six chips with boxes and captions
  nutonic plan recipe.yaml             what it takes, before any pixel is read
  nutonic build recipe.yaml --out DIR  run again, it goes on where it ended
  nutonic report DIR                   what is in it, as one page
  nutonic verify DIR --deep            proves that every file is right

\b
Results go to stdout, progress and messages to stderr.
Exit codes: 0 done; 1 not complete, the same command goes on;
2 a mistake, and nothing was done; 130 interrupted.
"""


@click.group(cls=_InOrder, context_settings={"help_option_names": ["-h", "--help"]}, epilog=_BEGIN)
@click.version_option(__version__, prog_name="nutonic")
@click.option("-v", "--verbose", count=True, help="Show the library's log on stderr; -vv each batch too.")
@click.pass_context
def cli(context: click.Context, verbose: int) -> None:
    """Turn places on Earth into image–text datasets for fine-tuning vision-language models."""
    if verbose:
        from nutonic.cli.screen import show_log

        show_log(verbose)
    refuse_lacks(context.invoked_subcommand or "")


cli.add_command(init)


def _at_a_scheduler(command: Callable[..., None]) -> Callable[..., None]:
    """The options of a command that may use a running scheduler; the files are called as in Dask's own commands."""
    file = PathOf()
    for option in (
        click.option("--tls-key", type=file, metavar="FILE", help="This client's key, for a scheduler at tls://."),
        click.option("--tls-cert", type=file, metavar="FILE", help="This client's certificate."),
        click.option("--tls-ca", type=file, metavar="FILE", help="The certificate of the authority that signed both."),
        click.option("--scheduler", metavar="ADDRESS", help="Use a running Dask scheduler, or its file."),
    ):
        command = option(command)
    return command


def _patience(command: Callable[..., None]) -> Callable[..., None]:
    """The options of a command that say how long it waits for a cluster."""
    seconds = click.FloatRange(min=0, min_open=True)
    for name, default, text in (
        ("--wait", NONE_S, "Seconds to wait for workers where there is none."),
        ("--deadline", BATCH_S, "Seconds that a worker may take for a batch; else its places stay open."),
        ("--patience", ANSWER_S, "Seconds without an answer of a worker, until others get its batches."),
    ):
        option = click.option(
            name, type=seconds, metavar="SECONDS", default=default, show_default=f"{default:.0f}", help=text
        )
        command = option(command)
    return command


@cli.command(short_help="Build, verify and draw a dataset of real pixels, offline.")
@click.argument(
    "name", required=False, type=click.Choice(["nutonic", "rsteller"]), default="nutonic", metavar="[rsteller]"
)
@click.option("--out", type=PathOf(output=True), default=Path("demo"), show_default=True, help="Folder of the demo.")
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


@cli.command(short_help="Look at a few chips before a build.")
@click.argument("source", metavar="RECIPE|DIR", type=AnyPathOf())
@click.option("-n", "n", type=click.IntRange(1, 60), default=6, show_default=True, help="How many chips.")
@click.option("--out", type=AnyPathOf(output=True), metavar="FILE", help="The page; by default preview.html, here.")
def preview(source: AnyPath, n: int, out: AnyPath | None) -> None:
    """Look at a few chips before a build: with boxes, captions and a map, as one HTML page.

    They are made as a build makes them, of places drawn at random. Of a dataset's folder, they are its own.
    """
    from nutonic.cli import console
    from nutonic.dataset.report.report import refuse_other
    from nutonic.run.preview.preview import preview as make_preview

    path = out or Path("preview.html")
    refuse_other(path)  # before any work
    made = make_preview(source, n)
    console.show_preview(made.report, made.save(path))
    sys.exit(OK if made.chips else INCOMPLETE)


@cli.command(short_help="What a build will take, before any pixel is read.")
@click.argument("recipe", type=PathOf())
@click.option("--out", type=AnyPathOf(output=True), help="Keep the plan in this folder, ready to be built.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def plan(recipe: Path, out: AnyPath | None, as_json: bool) -> None:
    """Search scenes and say what a build will take; reads no pixels."""
    from nutonic.cli import console
    from nutonic.cli.screen import note
    from nutonic.planning.cost import default_workers, doubt_of_room, refuse_too_large
    from nutonic.planning.pins import missing_files
    from nutonic.planning.recipe_kinds import plan as planned_of
    from nutonic.planning.recipe_kinds import planned_into
    from nutonic.recipe.recipe import Recipe
    from nutonic.recipe.yaml import load_recipe

    loaded = load_recipe(recipe)
    for line in loaded.in_vain if isinstance(loaded, Recipe) else ():
        note(line)
    if out is not None:
        plan_file = planned_into(loaded, out)[1]
        header, rejects, scenes = plan_file.header, plan_file.rejects, list(plan_file.scenes)
    else:
        planned = planned_of(loaded)
        refuse_too_large(planned.cost, default_workers())
        header, rejects, scenes = planned.header(), planned.rejects, planned.scenes()
    for line in doubt_of_room(header["cost"]["bytes_written"], out or Path.cwd()):
        note(line)
    missing = missing_files(scenes)
    if as_json:
        print_json({**header, "rejected": [plain_json(reject) for reject in rejects], "missing": missing})
    else:
        console.show_plan(header, rejects, missing)


@cli.command(short_help="Build a dataset, or go on with one.")
@click.argument("recipe", type=PathOf())
@click.option("--out", type=AnyPathOf(output=True), required=True, help="Folder of the dataset, or s3://BUCKET/PATH.")
@click.option(
    "--workers", type=click.IntRange(min=0), help="Worker processes; 0 builds without dask. Default: one per core."
)
@_at_a_scheduler
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Only the first N places.")
@click.option("--replan", is_flag=True, help="Search again; what was built from another plan is built anew.")
@click.option(
    "--retry-rejects",
    is_flag=False,
    flag_value="",
    metavar="[REASON]",
    help="Try places again that were left out, such as for 'asset gone'.",
)
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
    help="What captions by models may cost, in all builds together.",
)
@click.option("--answers", type=PathOf(), metavar="FILE", help="Answers to requests that wait, by a batch API.")
@_patience
@click.option("--dashboard", is_flag=True, help="Start Dask's dashboard, and say where it is.")
@click.option(
    "--performance-report",
    type=PathOf(output=True, beside=BESIDE),
    metavar="FILE",
    help="Write Dask's performance report, an HTML page.",
)
@click.option("--metrics", type=PathOf(output=True), metavar="FILE", help="Keep a text file for Prometheus up to date.")
@click.option("--json", "as_json", is_flag=True, help="The summary as one JSON object on stdout.")
@click.option("--log-json", is_flag=True, expose_value=False, help="One JSON object a line on stderr instead of text.")
def build(
    recipe: Path,
    out: AnyPath,
    limit: int | None,
    replan: bool,
    retry_rejects: str | None,
    max_cost: float | None,
    answers: Path | None,
    metrics: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Build a dataset. Run again, it resumes; finished, it does nothing.

    Ctrl-C lets what is in flight be finished; pressed again, it stops at once.
    """
    from nutonic.cli import console
    from nutonic.cli.interrupts import Interrupts
    from nutonic.cli.metrics import MetricsFile
    from nutonic.cli.progress import progress
    from nutonic.recipe.yaml import load_recipe
    from nutonic.run.clusters.cluster import Cluster
    from nutonic.run.run import build as run_build

    loaded, cluster = load_recipe(recipe), Cluster(**options)
    console.show_start(recipe, out)
    try:
        with Interrupts() as interrupts:
            with progress() as shown:
                callbacks = [interrupts, shown, *([MetricsFile(metrics)] if metrics else ())]
                extent: dict[str, Any] = {"limit": limit, "replan": replan, "max_cost": max_cost, "answers": answers}
                extent["retry_rejects"] = False if retry_rejects is None else retry_rejects
                summary = run_build(loaded, out, workers=cluster, callbacks=callbacks, **extent)
            if as_json:
                print_json(console.summary_json(summary))
            console.show_summary(summary, out, aside=as_json, then=True)
    except KeyboardInterrupt:
        end_interrupted()
    if interrupts.stop_requested() and not summary.complete:
        end_interrupted()
    sys.exit(OK if summary.succeeded else INCOMPLETE)


@cli.command(short_help="Save an area over time as Zarr, netCDF and GeoTIFFs.")
@click.argument("recipe", type=PathOf())
@click.option(
    "--out",
    type=CubeOf(output=True, beside=BESIDE),
    required=True,
    help="The cube, such as cube.zarr, cube.nc or s3://bucket/cube.zarr.",
)
@click.option("--area", metavar="W,S,E,N", help="In degrees, or a GeoJSON file; by default the recipe's cube.area.")
@click.option("--cogs", type=AnyPathOf(output=True), metavar="DIR", help="Write a GeoTIFF per variable here too.")
@click.option("--workers", type=click.IntRange(min=0), help="Worker processes. Default: threads of this one.")
@_at_a_scheduler
@click.option(
    "--patience",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    default=ANSWER_S,
    show_default=f"{ANSWER_S:.0f}",
    help="Seconds without an answer of a worker, until others get its tiles.",
)
@click.option("--overwrite", is_flag=True, help="Replace another cube.")
@click.option("--json", "as_json", is_flag=True, help="What it is made of as one JSON object on stdout.")
def cube(
    recipe: Path, out: AnyPath, area: str | None, cogs: AnyPath | None, overwrite: bool, as_json: bool, **options: Any
) -> None:
    """Save a recipe's imagery and labels over an area and time as Zarr, or netCDF. Run again, it resumes."""
    from nutonic.cli.cube import save_recipe_cube
    from nutonic.recipe.yaml import load_recipe, of_places
    from nutonic.run.clusters.cluster import Cluster

    cluster = Cluster(**options)
    saved = save_recipe_cube(
        of_places(load_recipe(recipe)),
        out,
        area=area,
        cogs=cogs,
        cluster=cluster,
        overwrite=overwrite,
        aside=as_json,
    )
    if as_json:
        print_json(saved)


@cli.command(short_help="Prove that a dataset is whole and right.")
@click.argument("directory", metavar="DIR", type=AnyPathOf())
@click.option("--deep", is_flag=True, help="Read every file, and make again what follows from something else.")
@click.option("--fix", is_flag=True, help="Remove what is damaged; the next build makes just that again.")
@click.option(
    "--rebuild",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="Make N places again from their sources, and compare bytes.",
)
@click.option("--workers", type=click.IntRange(min=0), default=0, help="Worker processes that read. Default: none.")
@_at_a_scheduler
@_patience
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def verify(directory: AnyPath, deep: bool, fix: bool, rebuild: int, as_json: bool, **options: Any) -> None:
    """Prove a dataset whole: exit code 0 whole, 1 not whole, 2 not a nutonic tree."""
    from nutonic.cli import console
    from nutonic.cli.progress import Progress
    from nutonic.run.clusters.cluster import Cluster
    from nutonic.run.verify import verify as run_verify

    cluster = Cluster(**options)
    verdict = run_verify(directory, deep=deep, fix=fix, rebuild=rebuild, workers=cluster, callbacks=[Progress()])
    if as_json:
        print_json({"whole": verdict.whole, **asdict(verdict)})
    else:
        console.show_verdict(verdict, directory)
    sys.exit(OK if verdict.whole else INCOMPLETE)


@cli.command(short_help="Write what a dataset holds as one HTML page.")
@click.argument("directory", metavar="DIR", type=AnyPathOf())
@click.option("--out", type=AnyPathOf(output=True), metavar="FILE", help="The page; by default report.html in DIR.")
def report(directory: AnyPath, out: AnyPath | None) -> None:
    """Write what a dataset holds as one HTML page, to be looked at offline; of an unfinished one too."""
    from nutonic.cli.screen import say
    from nutonic.dataset.report.report import report as write_report

    path = write_report(directory, out)
    size = f" ({path.stat().st_size / 1e6:.1f} MB)" if isinstance(path, Path) else ""
    say([f"wrote {path}{size}: open it in a browser"])


@cli.command(short_help="Pack a dataset into the form of a trainer.")
@click.argument("directory", metavar="DIR", type=AnyPathOf())
@click.option("--format", "form", required=True, metavar="FORM", help=FORMS)
@click.option("--out", type=AnyPathOf(output=True), required=True, help="Where the pack goes, beside the dataset.")
@click.option("--boxes", metavar="NAME", help="How boxes are written. Default: as the form's own models write them.")
@click.option("--cells", metavar="NAME", help="How cells of ground are named: utm, major-tom or h3. Default: utm.")
@click.option("--shard-mb", type=click.IntRange(min=1), default=500, show_default=True, help="Megabytes of a shard.")
@click.option("--workers", type=click.IntRange(min=0), help="Worker processes; 0 packs without dask.")
@_at_a_scheduler
@click.option("--json", "as_json", is_flag=True, help="What is there as one JSON object on stdout.")
@click.option("--log-json", is_flag=True, expose_value=False, help="One JSON object a line on stderr instead of text.")
def pack(
    directory: AnyPath,
    form: str,
    out: AnyPath,
    boxes: str | None,
    cells: str | None,
    shard_mb: int,
    as_json: bool,
    **options: Any,
) -> None:
    """Pack a finished dataset into the form of a trainer, the Hub or a map. Run again, it resumes.

    The dataset is only read. Ctrl-C lets the shards in flight be finished; pressed again, it stops at once.
    """
    from nutonic.cli import console
    from nutonic.cli.interrupts import Interrupts
    from nutonic.cli.progress import progress
    from nutonic.run.clusters.cluster import Cluster
    from nutonic.run.packs.pack import pack as run_pack

    try:
        with Interrupts() as interrupts, progress() as shown:
            made: dict[str, Any] = {"format": form, "boxes": boxes, "cells": cells, "shard_mb": shard_mb}
            cluster = Cluster(**options)
            packed = run_pack(directory, out, workers=cluster, callbacks=[interrupts, shown], **made)
    except KeyboardInterrupt:
        end_interrupted()
    if as_json:
        print_json({**asdict(packed), "complete": packed.complete})
    console.show_packed(packed, out, aside=as_json)
    if interrupts.stop_requested() and not packed.complete:
        end_interrupted()
    sys.exit(OK if packed.complete else INCOMPLETE)


@cli.command(short_help="Put a pack or a dataset on the Hugging Face Hub.")
@click.argument("directory", metavar="DIR", type=PathOf())
@click.option("--repo", required=True, metavar="OWNER/NAME", help="The dataset on the Hub; made if there is none.")
@click.option("--private", is_flag=True, help="A new one is private.")
@click.option("--revision", default="main", show_default=True, metavar="BRANCH", help="Made if there is none.")
@click.option("--dry-run", is_flag=True, help="Say what would be sent, and ask nobody.")
@click.option("--json", "as_json", is_flag=True, help="What is there as one JSON object on stdout.")
def push(directory: Path, repo: str, as_json: bool, **options: Any) -> None:
    """Put a pack or a dataset on the Hugging Face Hub, with the token in HF_TOKEN. Run again, it resumes."""
    from nutonic.cli import console
    from nutonic.cli.progress import progress
    from nutonic.run.packs.push import push as run_push

    try:
        with progress() as shown:
            pushed = run_push(directory, repo, callbacks=[shown], **options)
    except KeyboardInterrupt:
        end_interrupted()
    if as_json:
        print_json(asdict(pushed))
    console.show_pushed(pushed, aside=as_json)


@cli.command(short_help="Chips on ground that another catalogue holds.")
@click.argument("directory", metavar="DIR", type=AnyPathOf())
@click.argument("other", metavar="OTHER.parquet", type=PathOf())
@click.option("--by", type=click.Choice(["footprint", "cell", "either"]), default="either", show_default=True)
@click.option("--csv", "as_csv", is_flag=True, help="All of them as CSV on stdout.")
@click.option("--json", "as_json", is_flag=True, help="All of them as one JSON object on stdout.")
def overlap(directory: AnyPath, other: Path, by: str, as_csv: bool, as_json: bool) -> None:
    """Say which chips of a dataset lie on ground that another catalogue holds, such as a benchmark's test set.

    OTHER.parquet is GeoParquet in degrees. By footprint: ground in common; by cell: a footprint there whose middle lies in
    the chip's UTM cell of 2,560 m. DIR is a dataset, or a catalogue of chips. Exit code 0: none does; 1: some do.
    """
    from nutonic.cli import console
    from nutonic.dataset.catalogue.overlap import overlap as overlap_of

    wanted: Any = by
    found = overlap_of(directory, other, by=wanted)
    if as_json:
        print_json(found.json())
    elif as_csv:
        for line in console.overlap_csv(found):
            print_text(inert(line))
    else:
        console.show_overlap(found, other)
    sys.exit(INCOMPLETE if found.shared else OK)


cli.add_command(catalogue)
cli.add_command(schema)


def main(args: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    open_standard_streams()
    code: Any = None
    try:
        _run(args)
    except SystemExit as exit_:
        code = exit_.code
    code = with_results(code)
    if code is not None:
        sys.exit(code)


def _run(args: Sequence[str] | None) -> None:
    """Run a command; it ends with SystemExit if its code is not 0."""
    # Set before the arguments are parsed, so that mistakes in them are written as JSON too.
    logs.set_json_if_asked(sys.argv[1:] if args is None else args, cli.commands)
    refuse_warnings_as_errors()
    for what in ("Valid PROJ data directory", "pyproj unable to set"):  # as an error, by whoever needs its database
        warnings.filterwarnings("ignore", what, UserWarning)
    try:
        cli.main(args=args, prog_name="nutonic", standalone_mode=False)
    except click.exceptions.Exit as exit_:
        sys.exit(exit_.exit_code)
    except (click.Abort, KeyboardInterrupt):
        end_interrupted()
    except SystemExit:
        raise
    except BaseException as error:  # the panic of a library in Rust is no Exception
        code = report_error(error)
        if code is None:
            raise
        sys.exit(code)
