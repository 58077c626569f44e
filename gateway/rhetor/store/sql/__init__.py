"""The store on disk: SQLite behind SQLAlchemy Core, one thread, one file, one gateway a folder.

`opening.py` is where one begins. It loads SQLAlchemy, which takes a tenth of a
second and 13 MB, so whoever needs no store does not import it.
"""
