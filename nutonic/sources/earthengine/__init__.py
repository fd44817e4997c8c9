"""Google Earth Engine: labels through xee, imagery by computePixels."""
