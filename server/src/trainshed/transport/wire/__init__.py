"""Request structs: decoding is validation.

Fields that the server does not know are ignored: clients send several (`method`, for one, in every call). A field that may
be left out is None or UNSET; UNSET where "left out" and "null" mean different things, and where a part of a document is
stored as sent, without nulls.
"""
