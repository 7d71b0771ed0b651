"""An index of the failed jobs alone, where the database can do that.

PostgreSQL and SQLite keep nothing in it for any other job, so that jobs that succeed pay nothing for it. MySQL and
MariaDB know no such indexes: there it has every row, or is not made at all.
"""

from __future__ import annotations

from typing import Any, Final

from django.db import models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.backends.ddl_references import Statement

#: A statement of MySQL that does nothing: Django carries out whatever an index says.
_NOTHING: Final = "DO 0"


class FailedJobIndex(models.Index):
    """Index of the rows that have a fingerprint.

    Its condition is no `condition`: Django warns whoever uses MySQL of each of those, which nobody could help.

    Args:
        is_whole_elsewhere: make it of every row on databases without such indexes; else they have none.
    """

    def __init__(self, *expressions: Any, is_whole_elsewhere: bool = True, **options: Any) -> None:
        self.is_whole_elsewhere = is_whole_elsewhere
        super().__init__(*expressions, **options)

    def create_sql(  # type: ignore[override]  # Django carries a plain string out as well
        self, model: type[models.Model], schema_editor: BaseDatabaseSchemaEditor, using: str = "", **options: Any
    ) -> Statement | str:
        """Return the statement that makes it."""
        if schema_editor.connection.features.supports_partial_indexes:
            partial = models.Index(fields=self.fields, name=self.name, condition=models.Q(fingerprint__isnull=False))
            return partial.create_sql(model, schema_editor, using, **options)
        return super().create_sql(model, schema_editor, using, **options) if self.is_whole_elsewhere else _NOTHING

    def remove_sql(  # type: ignore[override]  # likewise
        self, model: type[models.Model], schema_editor: BaseDatabaseSchemaEditor, **options: Any
    ) -> Statement | str:
        """Return the statement that removes it."""
        is_made = self.is_whole_elsewhere or schema_editor.connection.features.supports_partial_indexes
        return super().remove_sql(model, schema_editor, **options) if is_made else _NOTHING

    def deconstruct(self) -> Any:
        """Return what a migration writes."""
        path, expressions, options = super().deconstruct()
        if not self.is_whole_elsewhere:
            options["is_whole_elsewhere"] = False
        return path, expressions, options
