"""The metadata of all tables, and their type of generated ids."""

from sqlalchemy import BigInteger, Integer, MetaData

# SQLite assigns ids only to a column of type INTEGER, which has 64 bits there too.
Id = BigInteger().with_variant(Integer, "sqlite")

metadata = MetaData()
