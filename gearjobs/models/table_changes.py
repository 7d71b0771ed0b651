"""Changes of large tables that let whoever works with them go on: columns in no time, indexes beside the work.

Migrations use these where the job table, which may have millions of rows, is changed after it was made. A migration
with an index of these is not atomic, since PostgreSQL makes none beside others' work inside a transaction; it may
break off and be started again.
"""

from __future__ import annotations

from typing import Any

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor


class AddColumn(migrations.AddField):
    """Adds a column whose default the database knows, without writing a row.

    Django makes the whole table anew on SQLite wherever a column is not null, in case its default were no constant.
    """

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:  # noqa: PLR0917 - as Django calls it
        """Add the column."""
        if schema_editor.connection.vendor != "sqlite":
            super().database_forwards(app_label, schema_editor, from_state, to_state)
            return
        model = to_state.apps.get_model(app_label, self.model_name)
        if not self.allow_migrate_model(schema_editor.connection.alias, model):
            return
        field = model._meta.get_field(self.name)
        definition, parameters = schema_editor.column_sql(model, field)
        names = {"table": model._meta.db_table, "column": field.column, "definition": definition}
        quoted = {**names, **{name: schema_editor.quote_name(names[name]) for name in ("table", "column")}}
        schema_editor.execute(schema_editor.sql_create_column % quoted, parameters or None)


class AddIndexBeside(migrations.AddIndex):
    """Adds an index while others write to the table; one that an earlier try left behind is removed first."""

    atomic = False

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:  # noqa: PLR0917 - as Django calls it
        """Make the index."""
        model = to_state.apps.get_model(app_label, self.model_name)
        if not self.allow_migrate_model(schema_editor.connection.alias, model):
            return
        options = _options(schema_editor)
        if not schema_editor.collect_sql and self.index.name in _indexes(schema_editor, model._meta.db_table):
            schema_editor.remove_index(model, self.index, **options)
        schema_editor.add_index(model, self.index, **options)

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:  # noqa: PLR0917 - as Django calls it
        """Remove the index."""
        model = from_state.apps.get_model(app_label, self.model_name)
        if self.allow_migrate_model(schema_editor.connection.alias, model):
            schema_editor.remove_index(model, self.index, **_options(schema_editor))


def _options(schema_editor: BaseDatabaseSchemaEditor) -> dict[str, bool]:
    """Return how PostgreSQL is told to keep nobody waiting; the others do so by themselves, or cannot."""
    connection = schema_editor.connection
    return {"concurrently": True} if connection.vendor == "postgresql" and not connection.in_atomic_block else {}


def _indexes(schema_editor: BaseDatabaseSchemaEditor, table: str) -> set[str]:
    connection = schema_editor.connection
    with connection.cursor() as cursor:
        return set(connection.introspection.get_constraints(cursor, table))
