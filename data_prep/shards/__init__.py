"""Photos and their tags in tar files, as WebDataset reads them."""
