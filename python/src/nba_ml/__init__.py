"""Thin Python around the dbt feature store: import, train, register, predict."""
