"""Recipes to start from: what ``nutonic init`` writes."""

NUTONIC = """\
# A nutonic recipe. Relative paths are relative to this file's folder; secrets never belong here.
# Lines that are commented out show the defaults.

name: my-dataset

pois:
  path: pois.csv                  # columns lon (or longitude), lat (or latitude), and id if you have one
  # limit: null                   # only so many rows of the file, from its start
  # min_spacing_m: 0              # drop places closer than this to one already kept
  # jitter: {variants: 0, max_offset_m: 300, seed: 0}

# grid:
#   resolution_m: 10
#   extent_m: 5120                # side of the square around each place
#   lattice: ten_metre            # or source: the lattice of the scene's own pixels

imagery:
  # source: stac
  url: items.json                 # a local STAC catalogue: items (JSON or NDJSON) or a catalog.json
  collection: sentinel-2-l2a
  datetime: 2024-04-01/2024-10-31 # both included
  # max_cloud_cover: 20
  # assets: [red, green, blue]
  # engine: stackstac

labels:
  source: raster
  path: land_cover.tif            # a GeoTIFF or COG in any CRS
  # dataset: dynamic-world        # or esa-worldcover, or a class table of your own:
  # dataset: {name: mine, unknown: 0, classes: {1: water, 2: forest}, colors: {1: "#0064c8", 2: "#006400"}}

# tiles: {size: 512, stride: 512, output_size: 224, min_valid_fraction: 0.35}
# stretch: {low: 2, high: 98, scope: tile}     # scope: tile or poi
# rows:
#   caption: true
#   grounding: true
#   per_class: true
#   per_class_grounding: true
#   min_class_fraction: 0.05
#   max_classes: 9
#   min_region_px: 50             # native pixels
#   max_regions_per_class: 24
#   augment: []                   # any of flip, r90, r180, r270
# splits: {train: 0.8, validation: 0.1, test: 0.1, by: place}   # or by: block, block_km: 50
# output: {files_per_dir: 8000, rows_per_file: null, format: files}
"""

TEMPLATES = {"nutonic": NUTONIC}
