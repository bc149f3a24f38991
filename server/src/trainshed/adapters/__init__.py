"""One package per engine, files named as the ports. Only bootstrap knows them."""
