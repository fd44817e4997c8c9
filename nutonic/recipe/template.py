"""Recipes to start from: what ``nutonic init`` writes."""

from __future__ import annotations

NUTONIC = """\
# A nutonic recipe. Relative paths are relative to this file's folder; secrets never belong here.
# Lines that are commented out show the defaults.

name: my-dataset

pois:
  path: pois.csv                  # or .jsonl, .geojson, .parquet, hf://datasets/OWNER/NAME: lon, lat, and id if you have one
  # columns: {id: null, lon: null, lat: null}   # their names, where they are not id, lon or longitude, lat or latitude
  # keep: []                      # further columns to take along into the plan and every sidecar
  # limit: null                   # only so many rows of the file, from its start
  # min_spacing_m: 0              # drop places closer than this to one already kept
  # jitter: {variants: 0, max_offset_m: 300, seed: 0}

# grid:
#   resolution_m: 10
#   extent_m: 5120                # side of the square around each place
#   lattice: ten_metre            # or source: the lattice of the scene's own pixels

imagery:
  # source: stac                  # or earthengine: images of a collection, such as USDA/NAIP/DOQQ
  url: items.json                 # a STAC API, or a local catalogue: items (JSON, NDJSON, GeoParquet) or a catalog.json
  collection: sentinel-2-l2a      # earthengine: COPERNICUS/S2_SR_HARMONIZED; url is then not needed
  datetime: 2024-04-01/2024-10-31 # both included
  # max_cloud_cover: 20
  # assets: [red, green, blue]
  # engine: stackstac             # or odc-stac: the same pixels
  # sign: null                    # or planetary-computer, of which it is known where url is its own
  # allow_hosts: []               # of files, besides the API's own and those of known catalogues: ["127.0.0.1:8000"]
  # project: null                 # earthengine: a Cloud project; else EE_PROJECT or GOOGLE_CLOUD_PROJECT

labels:
  source: raster                  # or stac: all items of a collection and a year; or earthengine: an image collection
  path: land_cover.tif            # raster: a GeoTIFF or COG in any CRS
  # dataset: dynamic-world        # or esa-worldcover, io-lulc, or a class table of your own:
  # dataset: {name: mine, unknown: 0, classes: {1: water, 2: forest}, colors: {1: "#0064c8", 2: "#006400"}}
  # url: null                     # stac: an API or a local catalogue; earthengine: the high-volume endpoint
  # collection: null              # stac: like url and asset known for esa-worldcover and io-lulc
  # asset: null
  # year: null                    # stac: the nearest to the imagery's time; earthengine: of a mosaic's images
  # sign: null
  # allow_hosts: []
  # band: null                    # earthengine: like collection known for dynamic-world and esa-worldcover
  # rule: null                    # earthengine: mode (dynamic-world's), nearest (one image), or mosaic (of timeless ones)
  # windows_days: null            # earthengine: [7, 14, 30, 60, 120] around the scene's date, the narrowest with a class
  # project: null                 # earthengine: a Cloud project; else EE_PROJECT or GOOGLE_CLOUD_PROJECT

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

# cube:                           # for nutonic cube: an area over time, of the imagery and labels above
#   area: null                    # [west, south, east, north] in degrees, or a GeoJSON file
#   chunk: 1024                   # side of tiles in pixels
#   mask: null                    # scl: leave out clouds and shadows by this asset
#   reduce: null                  # median, mean or clearest: one picture of all times
#   warp: true                    # scenes of other UTM zones by nearest neighbour; false leaves them out
"""

TEMPLATES = {"nutonic": NUTONIC}
