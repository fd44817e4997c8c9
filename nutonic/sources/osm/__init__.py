"""OpenStreetMap as a source: extracts and Overpass, and what tags mean to the eye."""
