#!/usr/bin/env python3
"""Takes the program of an image (its entry point) out of the image's file.

    image-file.py IMAGE.tar OUT

IMAGE.tar is a docker-archive, packed or not. Prints the program's path in the image.
"""
import json
import sys
import tarfile


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    archive, out = sys.argv[1:]
    with tarfile.open(archive) as image:
        manifest = json.load(image.extractfile("manifest.json"))[0]
        config = json.load(image.extractfile(manifest["Config"]))
        entry = config["config"]["Entrypoint"][0]
        wanted = entry.lstrip("/")
        # The last layer that has it is what runs.
        for layer in reversed(manifest["Layers"]):
            with tarfile.open(fileobj=image.extractfile(layer)) as files:
                for member in files:
                    if member.name.lstrip("./") == wanted and member.isfile():
                        with open(out, "wb") as program:
                            program.write(files.extractfile(member).read())
                        print(entry)
                        return
    sys.exit(f"error: no layer of {archive} has its entry point {entry}")


main()
